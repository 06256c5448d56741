/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <stddef.h>

bool line_due(const struct line *line)
{
    return line->level && !line->masked;
}

void line_retry(struct line *line)
{
    if (!line_due(line))
        return;
    /* First: whoever takes the edge may unmask before it returns. */
    line->masked = true;
    if (line->trigger == NULL || line->trigger(line->context, 0) != 0)
        line->masked = false;
    else if (line->sent < UINT32_MAX)
        line->sent++;
}

void line_set(struct line *line, bool level)
{
    if (level == line->level)
        return;
    line->level = level;
    line->changes++;
    line_retry(line);
}
