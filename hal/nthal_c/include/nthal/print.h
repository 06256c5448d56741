/* SPDX-License-Identifier: Apache-2.0 */
/* DbgPrint: the documented formats of Windows, whose `l` has 32 bits and whose `w` are UTF-16.
 *
 * A format that is not understood is printed as it stands, and all behind it: which argument is whose is lost there.
 */
#ifndef NTHAL_PRINT_H
#define NTHAL_PRINT_H
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "types.h"

extern void nthal_at_most(KIRQL Highest, PCSTR What);

struct nthal_text { char bytes[512]; size_t length; };

static void nthal_put(struct nthal_text *to, const char *from, size_t length)
{
    size_t room = sizeof to->bytes - 1 - to->length;

    memcpy(to->bytes + to->length, from, length < room ? length : room);
    to->length += length < room ? length : room;
    to->bytes[to->length] = 0;
}

/* UTF-8 of at most `units` of UTF-16; a half of a pair alone is U+FFFD. Give the bytes. */
static size_t nthal_utf8(char *to, size_t room, const WCHAR *from, size_t units)
{
    size_t length = 0;

    for (size_t at = 0; at < units && length + 4 <= room; at++) {
        ULONG c = from[at];

        if (c >> 11 == 0x1B) {
            if (c < 0xDC00 && at + 1 < units && from[at + 1] >> 10 == 0x37)
                c = 0x10000 + ((c & 0x3FF) << 10) + (from[++at] & 0x3FF);
            else
                c = 0xFFFD;
        }
        if (c < 0x80)
            to[length++] = (char)c;
        else if (c < 0x800)
            to[length++] = (char)(0xC0 | c >> 6), to[length++] = (char)(0x80 | (c & 0x3F));
        else if (c < 0x10000)
            to[length++] = (char)(0xE0 | c >> 12), to[length++] = (char)(0x80 | (c >> 6 & 0x3F)), to[length++] = (char)(0x80 | (c & 0x3F));
        else
            to[length++] = (char)(0xF0 | c >> 18), to[length++] = (char)(0x80 | (c >> 12 & 0x3F)),
            to[length++] = (char)(0x80 | (c >> 6 & 0x3F)), to[length++] = (char)(0x80 | (c & 0x3F));
    }
    return length;
}

/* One conversion: `flags` as written, `width` and `precision` in characters, negative for none. */
struct nthal_format { char flags[8]; int width, precision; };

static void nthal_pad(struct nthal_text *to, const struct nthal_format *how, const char *text, size_t length)
{
    int room = how->width > 511 ? 511 : how->width, left = strchr(how->flags, '-') != NULL;
    size_t spaces = room > 0 && (size_t)room > length ? (size_t)room - length : 0;

    for (size_t n = 0; !left && n < spaces; n++)
        nthal_put(to, " ", 1);
    nthal_put(to, text, length);
    for (size_t n = 0; left && n < spaces; n++)
        nthal_put(to, " ", 1);
}

static void nthal_put_narrow(struct nthal_text *to, const struct nthal_format *how, const char *text, size_t most)
{
    if (text == NULL)
        text = "(null)", most = 6;
    if (how->precision >= 0 && (size_t)how->precision < most)
        most = (size_t)how->precision;
    nthal_pad(to, how, text, strnlen(text, most < 512 ? most : 512));
}

static void nthal_put_wide(struct nthal_text *to, const struct nthal_format *how, const WCHAR *text, size_t most)
{
    char bytes[512];
    size_t units = 0;

    if (text == NULL) {
        nthal_put_narrow(to, how, NULL, 0);
        return;
    }
    if (how->precision >= 0 && (size_t)how->precision < most)
        most = (size_t)how->precision;
    while (units < most && units < sizeof bytes && text[units] != 0)
        units++;
    nthal_pad(to, how, bytes, nthal_utf8(bytes, sizeof bytes, text, units));
}

static void nthal_put_number(struct nthal_text *to, const struct nthal_format *how, char type, uint64_t value)
{
    char format[48], text[512];
    int length, width = how->width > 511 ? 511 : how->width, precision = how->precision > 256 ? 256 : how->precision;

    length = snprintf(format, sizeof format, "%%%s", how->flags);
    if (width >= 0)
        length += snprintf(format + length, sizeof format - (size_t)length, "%d", width);
    if (precision >= 0)
        length += snprintf(format + length, sizeof format - (size_t)length, ".%d", precision);
    snprintf(format + length, sizeof format - (size_t)length, "ll%c", type);
    length = snprintf(text, sizeof text, format, (unsigned long long)value);
    nthal_put(to, text, length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

static int nthal_number(const char **at, va_list *arguments, int none)
{
    int value = 0;

    if (**at == '*') {
        ++*at;
        return va_arg(*arguments, int);
    }
    if (**at < '0' || **at > '9')
        return none;
    while (**at >= '0' && **at <= '9') {
        value = value < 100000 ? 10 * value + (**at - '0') : value;
        ++*at;
    }
    return value;
}

/* Bits of the number that a size prefix means; 'w' and 'l' before text mean wide, 'h' narrow. Give the prefix's letter. */
static char nthal_size(const char **at, int *bits)
{
    static const struct { const char *prefix; char letter; int bits; } sizes[] = {
        {"I64", 'I', 64}, {"I32", 'I', 32}, {"I", 'I', 64}, {"ll", 'L', 64}, {"l", 'l', 32}, {"hh", 'h', 8},
        {"h", 'h', 16}, {"w", 'w', 32}, {"z", 'I', 64}, {"t", 'I', 64}, {"j", 'I', 64},
    };

    *bits = 32;
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
        if (strncmp(*at, sizes[n].prefix, strlen(sizes[n].prefix)) == 0) {
            *at += strlen(sizes[n].prefix);
            *bits = sizes[n].bits;
            return sizes[n].letter;
        }
    return 0;
}

/* One conversion, `*at` behind its %: zero for one that is not understood. */
static int nthal_convert(struct nthal_text *to, const char **at, va_list *arguments)
{
    struct nthal_format how = {"", -1, -1};
    uint64_t value;
    char size, type;
    int bits, wide;

    for (size_t n = 0; **at != 0 && strchr("-+ #0", **at) != NULL; ++*at)
        if (strchr(how.flags, **at) == NULL)
            how.flags[n++] = **at;
    how.width = nthal_number(at, arguments, -1);
    if (how.width < -1) {
        how.width = how.width < -511 ? 511 : -how.width;
        if (strchr(how.flags, '-') == NULL)
            strcat(how.flags, "-");
    }
    if (**at == '.') {
        ++*at;
        how.precision = nthal_number(at, arguments, 0);
    }
    size = nthal_size(at, &bits);
    type = *(*at)++;
    wide = size == 'w' || size == 'l' || ((type == 'S' || type == 'C') && size != 'h');
    if (wide && strchr("sScCZ", type) != NULL)
        nthal_at_most(0, "DbgPrint of Unicode text");
    switch (type) {
    case '%':
        nthal_put(to, "%", 1);
        return 1;
    case 'd': case 'i':
        value = bits == 64 ? va_arg(*arguments, uint64_t) : (uint64_t)(int64_t)va_arg(*arguments, int);
        value = bits == 16 ? (uint64_t)(int16_t)value : bits == 8 ? (uint64_t)(int8_t)value : value;
        nthal_put_number(to, &how, 'd', value);
        return 1;
    case 'u': case 'x': case 'X': case 'o':
        value = bits == 64 ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned int);
        value = bits == 16 ? (uint16_t)value : bits == 8 ? (uint8_t)value : value;
        nthal_put_number(to, &how, type, value);
        return 1;
    case 'p': case 'P':
        how.precision = 2 * sizeof(void *);
        nthal_put_number(to, &how, 'X', (uintptr_t)va_arg(*arguments, void *));
        return 1;
    case 'c': case 'C': {
        WCHAR one = (WCHAR)va_arg(*arguments, int);
        char bytes[8] = {(char)one};

        nthal_pad(to, &how, bytes, wide ? nthal_utf8(bytes, sizeof bytes, &one, 1) : 1);
        return 1;
    }
    case 's': case 'S':
        if (wide)
            nthal_put_wide(to, &how, va_arg(*arguments, const WCHAR *), SIZE_MAX);
        else
            nthal_put_narrow(to, &how, va_arg(*arguments, const char *), SIZE_MAX);
        return 1;
    case 'Z': {
        const UNICODE_STRING *text = va_arg(*arguments, const UNICODE_STRING *); /* an ANSI_STRING is laid out so too */

        if (text == NULL || text->Buffer == NULL)
            nthal_put_narrow(to, &how, NULL, 0);
        else if (size == 'w' || size == 'l')
            nthal_put_wide(to, &how, text->Buffer, text->Length / sizeof(WCHAR));
        else
            nthal_put_narrow(to, &how, (const char *)text->Buffer, text->Length);
        return 1;
    }
    default:
        return 0;
    }
}

static void nthal_format(struct nthal_text *to, const char *format, va_list *arguments)
{
    while (*format != 0) {
        const char *at = format;

        if (*at++ != '%') {
            nthal_put(to, format++, 1);
        } else if (nthal_convert(to, &at, arguments)) {
            format = at;
        } else {
            nthal_put(to, format, strlen(format));
            return;
        }
    }
}
#endif
