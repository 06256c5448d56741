// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device: checks what comes in, then hands it on. Long, because
 * nothing else looks at what user space says.
 */
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "plx_test.h"

static bool allow_break;
module_param(allow_break, bool, 0600);
MODULE_PARM_DESC(allow_break, "let a program crash the kernel on purpose (default: no)");

#define FNV_BASIS		0xcbf29ce484222325ULL
#define FNV_PRIME		0x100000001b3ULL

void plx_test_release_ref(struct kref *ref)
{
	struct plx_test *plx = container_of(ref, struct plx_test, ref);

	kfree(plx->config);
	kfree(plx);
}

/* ------------------------------------------------------------------ */
/* BARs                                                                */

static int plx_check_access(const struct plx_test *plx, u32 bar, u32 width, u32 offset, u32 count)
{
	u64 length;

	if (bar >= PLX_TEST_BARS || !plx->bar[bar])
		return -ENXIO;
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return -EINVAL;
	if (width == 8 && pci_resource_flags(plx->pdev, bar) & IORESOURCE_IO)
		return -EINVAL;
	length = (u64)width * count;
	if (offset % width || length > plx->bar_len[bar] ||
	    offset > plx->bar_len[bar] - length)
		return -ERANGE;
	return 0;
}

static u64 plx_peek(const struct plx_test *plx, u32 bar, u32 width, u32 offset)
{
	void __iomem *at = plx->bar[bar] + offset;

	switch (width) {
	case 1:
		return ioread8(at);
	case 2:
		return ioread16(at);
	case 4:
		return ioread32(at);
	default:
		return readq(at);
	}
}

static void plx_poke(struct plx_test *plx, u32 bar, u32 width, u32 offset, u64 value)
{
	void __iomem *at = plx->bar[bar] + offset;

	switch (width) {
	case 1:
		iowrite8(value, at);
		break;
	case 2:
		iowrite16(value, at);
		break;
	case 4:
		iowrite32(value, at);
		break;
	default:
		writeq(value, at);
	}
}

static int plx_do_peek(struct plx_test *plx, struct plx_test_access *access)
{
	int ret = plx_check_access(plx, access->bar, access->width, access->offset, 1);

	if (!ret)
		access->value = plx_peek(plx, access->bar, access->width, access->offset);
	return ret;
}

static int plx_do_poke(struct plx_test *plx, const struct plx_test_access *access)
{
	int ret = plx_check_access(plx, access->bar, access->width, access->offset, 1);
	unsigned long flags;

	if (ret)
		return ret;
	spin_lock_irqsave(&plx->lock, flags);
	plx_poke(plx, access->bar, access->width, access->offset, access->value);
	plx_note_write(plx, access->bar, access->offset, access->width);
	spin_unlock_irqrestore(&plx->lock, flags);
	return 0;
}

static int plx_do_rmw(struct plx_test *plx, struct plx_test_rmw *rmw)
{
	int ret = plx_check_access(plx, rmw->bar, rmw->width, rmw->offset, 1);
	unsigned long flags;

	if (ret)
		return ret;
	if (rmw->width > 4)
		return -EINVAL;
	spin_lock_irqsave(&plx->lock, flags);
	rmw->old = plx_peek(plx, rmw->bar, rmw->width, rmw->offset);
	rmw->new_value = (rmw->old & ~rmw->clear) | rmw->set;
	plx_poke(plx, rmw->bar, rmw->width, rmw->offset, rmw->new_value);
	plx_note_write(plx, rmw->bar, rmw->offset, rmw->width);
	spin_unlock_irqrestore(&plx->lock, flags);
	return 0;
}

static int plx_do_bulk(struct plx_test *plx, const struct plx_test_bulk *bulk, bool write)
{
	u8 __user *data = u64_to_user_ptr(bulk->data);
	int ret = plx_check_access(plx, bulk->bar, bulk->width, bulk->offset, bulk->count);
	u32 at, end = bulk->offset + bulk->width * bulk->count;
	u64 value;

	if (ret)
		return ret;
	/* Registers have side effects: those are written one by one. */
	if (write && bulk->bar < 2)
		return -EINVAL;
	for (at = bulk->offset; at < end; at += bulk->width, data += bulk->width) {
		if (signal_pending(current))
			return -EINTR;
		value = 0;
		if (write) {
			if (copy_from_user(&value, data, bulk->width))
				return -EFAULT;
			plx_poke(plx, bulk->bar, bulk->width, at, value);
		} else {
			value = plx_peek(plx, bulk->bar, bulk->width, at);
			if (copy_to_user(data, &value, bulk->width))
				return -EFAULT;
		}
	}
	return 0;
}

static int plx_do_config(struct plx_test *plx, struct plx_test_config *config, bool write)
{
	struct pci_dev *pdev = plx->pdev;
	u16 word;
	u8 byte;
	int ret;

	if (config->offset % (config->width ?: 1) || config->offset > PCI_CFG_SPACE_SIZE - 4)
		return -ERANGE;
	switch (config->width) {
	case 1:
		if (write)
			return pcibios_err_to_errno(pci_write_config_byte(pdev, config->offset,
									  config->value));
		ret = pci_read_config_byte(pdev, config->offset, &byte);
		config->value = byte;
		break;
	case 2:
		if (write)
			return pcibios_err_to_errno(pci_write_config_word(pdev, config->offset,
									  config->value));
		ret = pci_read_config_word(pdev, config->offset, &word);
		config->value = word;
		break;
	case 4:
		if (write)
			return pcibios_err_to_errno(pci_write_config_dword(pdev, config->offset,
									   config->value));
		ret = pci_read_config_dword(pdev, config->offset, &config->value);
		break;
	default:
		return -EINVAL;
	}
	return pcibios_err_to_errno(ret);
}

static void plx_do_info(struct plx_test *plx, struct plx_test_info *info)
{
	struct pci_dev *pdev = plx->pdev;
	int bar;

	info->abi = PLX_TEST_ABI;
	info->vendor = pdev->vendor;
	info->device = pdev->device;
	info->subvendor = pdev->subsystem_vendor;
	info->subdevice = pdev->subsystem_device;
	info->revision = pdev->revision;
	info->pin = pdev->pin;
	info->flags = plx_hands_off ? PLX_TEST_HANDS_OFF : 0;
	if (plx_translated(&pdev->dev))
		info->flags |= PLX_TEST_TRANSLATED;
	info->irq = plx->irq;
	info->dma_mask = pdev->dev.coherent_dma_mask;
	for (bar = 0; bar < PLX_TEST_BARS; bar++) {
		unsigned long flags = pci_resource_flags(pdev, bar);

		info->bar_len[bar] = pci_resource_len(pdev, bar);
		info->bar_start[bar] = pci_resource_start(pdev, bar);
		if (!info->bar_len[bar])
			continue;
		info->bar_flags[bar] = flags & IORESOURCE_IO ? PLX_TEST_BAR_IO : PLX_TEST_BAR_MEM;
	}
	strscpy(info->name, pci_name(pdev), sizeof(info->name));
}

/* ------------------------------------------------------------------ */
/* Common buffers                                                      */

static int plx_do_alloc(struct plx_test *plx, struct plx_test_alloc *alloc)
{
	struct plx_adapter *adapter = &plx->adapter;
	struct plx_buffer *buf;
	dma_addr_t logical;
	void *va;

	va = plx_allocate_common_buffer(adapter, alloc->length, &logical, alloc->cache_enabled);
	alloc->order = adapter->orders;
	buf = plx_find_buffer(adapter, alloc->order);
	alloc->pages = buf ? buf->pages : 0;
	alloc->va = (uintptr_t)va;
	alloc->logical = logical;
	return 0;
}

static int plx_do_free(struct plx_test *plx, const struct plx_test_free *free)
{
	struct plx_buffer *buf = plx_find_buffer(&plx->adapter, free->order);
	unsigned long flags;

	if (!buf)
		return -ENOENT;
	/* Nothing that is freed may stay under the handler's eyes. */
	spin_lock_irqsave(&plx->lock, flags);
	if (plx->policy.watch_order == free->order) {
		plx->policy.watch_order = 0;
		plx->watch = NULL;
	}
	spin_unlock_irqrestore(&plx->lock, flags);
	return plx_free_common_buffer(&plx->adapter, free->length, free->logical,
				      (void *)(uintptr_t)free->va, free->cache_enabled);
}

static int plx_do_copy(struct plx_test *plx, const struct plx_test_copy *copy, bool write)
{
	void *at = plx_buffer_span(&plx->adapter, copy->order, copy->offset, copy->length);
	void __user *data = u64_to_user_ptr(copy->data);

	if (IS_ERR(at))
		return PTR_ERR(at);
	if (write)
		return copy_from_user(at, data, copy->length) ? -EFAULT : 0;
	return copy_to_user(data, at, copy->length) ? -EFAULT : 0;
}

static int plx_do_fill(struct plx_test *plx, const struct plx_test_fill *fill)
{
	void *at = plx_buffer_span(&plx->adapter, fill->order, fill->offset, fill->length);

	if (IS_ERR(at))
		return PTR_ERR(at);
	memset(at, fill->value, fill->length);
	return 0;
}

static int plx_do_sum(struct plx_test *plx, struct plx_test_sum *sum)
{
	const u8 *at = plx_buffer_span(&plx->adapter, sum->order, sum->offset, sum->length);
	u64 hash = FNV_BASIS;
	u32 i;

	if (IS_ERR(at))
		return PTR_ERR(at);
	for (i = 0; i < sum->length; i++)
		hash = (hash ^ at[i]) * FNV_PRIME;
	sum->sum = hash;
	return 0;
}

static int plx_do_record(struct plx_test *plx, struct plx_test_record *record)
{
	struct plx_buffer *buf = plx_buffer_from(&plx->adapter, record->order);
	__u64 __user *pfns = u64_to_user_ptr(record->pfns);
	u32 i;

	if (!buf)
		return -ENOENT;
	record->order = buf->order;
	record->length = buf->length;
	record->pages = buf->pages;
	record->flags = buf->flags;
	record->va = (uintptr_t)buf->va;
	record->logical = buf->logical;
	record->given = buf->given;
	record->limit = buf->limit;
	record->usable = buf->usable;
	record->of = buf->of;
	record->pfn_count = min(record->pfn_room, buf->pages);
	for (i = 0; i < record->pfn_count; i++)
		if (put_user((__u64)buf->pfns[i], pfns + i))
			return -EFAULT;
	return 0;
}

/* ------------------------------------------------------------------ */

static int plx_do_break(struct plx_test *plx, u32 how)
{
	if (!READ_ONCE(allow_break))
		return -EPERM;
	switch (how) {
	case PLX_TEST_BREAK_PANIC:
		panic("%s: asked to panic", PLX_TEST_NAME);
	case PLX_TEST_BREAK_OOPS:
		/* A write through NULL, as a broken driver would do it. */
		*(volatile int *)NULL = 0;
		return 0;
	case PLX_TEST_BREAK_LENGTH:
	case PLX_TEST_BREAK_TWICE:
	case PLX_TEST_BREAK_PHYSICAL:
		WRITE_ONCE(plx->adapter.broken, how);
		return 0;
	case PLX_TEST_BREAK_LIMIT:
		WRITE_ONCE(plx->adapter.broken, how);
		return dma_set_coherent_mask(&plx->pdev->dev, DMA_BIT_MASK(64));
	default:
		return -EINVAL;
	}
}

static void plx_do_bus_master(struct plx_test *plx, u32 on)
{
	if (on)
		pci_set_master(plx->pdev);
	else
		pci_clear_master(plx->pdev);
}

/* Every argument but the register snapshot fits in here. */
union plx_argument {
	__u32 word;
	__u64 pointer;
	struct plx_test_map map;
	struct plx_test_info info;
	struct plx_test_access access;
	struct plx_test_rmw rmw;
	struct plx_test_bulk bulk;
	struct plx_test_config config;
	struct plx_test_alloc alloc;
	struct plx_test_free free;
	struct plx_test_copy copy;
	struct plx_test_fill fill;
	struct plx_test_sum sum;
	struct plx_test_record record;
	struct plx_test_start start;
	struct plx_test_done done;
	struct plx_test_irq_policy policy;
	struct plx_test_irq_stats stats;
	struct plx_test_irq_wait wait;
	struct plx_test_level level;
	struct plx_test_bench bench;
};

static int plx_command(struct plx_test *plx, unsigned int cmd, union plx_argument *arg)
{
	unsigned long flags;

	switch (cmd) {
	case PLX_TEST_INFO:
		plx_do_info(plx, &arg->info);
		return 0;
	case PLX_TEST_PEEK:
		return plx_do_peek(plx, &arg->access);
	case PLX_TEST_POKE:
		return plx_do_poke(plx, &arg->access);
	case PLX_TEST_RMW:
		return plx_do_rmw(plx, &arg->rmw);
	case PLX_TEST_PEEK_BULK:
		return plx_do_bulk(plx, &arg->bulk, false);
	case PLX_TEST_POKE_BULK:
		return plx_do_bulk(plx, &arg->bulk, true);
	case PLX_TEST_CONFIG_READ:
		return plx_do_config(plx, &arg->config, false);
	case PLX_TEST_CONFIG_WRITE:
		return plx_do_config(plx, &arg->config, true);
	case PLX_TEST_BUS_MASTER:
		plx_do_bus_master(plx, arg->word);
		return 0;
	case PLX_TEST_ALLOC:
		return plx_do_alloc(plx, &arg->alloc);
	case PLX_TEST_FREE:
		return plx_do_free(plx, &arg->free);
	case PLX_TEST_BUF_READ:
		return plx_do_copy(plx, &arg->copy, false);
	case PLX_TEST_BUF_WRITE:
		return plx_do_copy(plx, &arg->copy, true);
	case PLX_TEST_BUF_FILL:
		return plx_do_fill(plx, &arg->fill);
	case PLX_TEST_BUF_SUM:
		return plx_do_sum(plx, &arg->sum);
	case PLX_TEST_RECORD:
		return plx_do_record(plx, &arg->record);
	case PLX_TEST_ADDRESS_BITS:
		return plx_address_bits(&plx->adapter, arg->word);
	case PLX_TEST_MAP:
		return plx_streaming_map(&plx->adapter, &arg->map);
	case PLX_TEST_UNMAP:
		return plx_streaming_unmap(&plx->adapter, u64_to_user_ptr(arg->pointer));
	case PLX_TEST_START:
		return plx_start(plx, &arg->start);
	case PLX_TEST_DONE:
		if (arg->done.channel >= PLX_TEST_CHANNELS)
			return -EINVAL;
		plx_wait_done(plx, &arg->done);
		return 0;
	case PLX_TEST_ABORT:
		if (arg->done.channel >= PLX_TEST_CHANNELS)
			return -EINVAL;
		return plx_abort(plx, &arg->done);
	case PLX_TEST_QUIESCE:
		return plx_quiesce(plx);
	case PLX_TEST_HOT_RESET:
		return plx_hot_reset(plx);
	case PLX_TEST_IRQ_POLICY:
		return plx_irq_policy(plx, &arg->policy);
	case PLX_TEST_IRQ_STATS:
		spin_lock_irqsave(&plx->lock, flags);
		arg->stats = plx->stats;
		spin_unlock_irqrestore(&plx->lock, flags);
		return 0;
	case PLX_TEST_IRQ_RESET:
		plx_irq_reset(plx);
		return 0;
	case PLX_TEST_IRQ_WAIT:
		return plx_irq_wait(plx, &arg->wait);
	case PLX_TEST_LEVEL:
		return plx_level(plx, &arg->level);
	case PLX_TEST_BENCH:
		return plx_bench(plx, &arg->bench);
	default:
		return -ENOTTY;
	}
}

static long plx_test_ioctl(struct file *file, unsigned int cmd, unsigned long raw)
{
	struct plx_test *plx = file->private_data;
	void __user *user = (void __user *)raw;
	unsigned int size = _IOC_SIZE(cmd);
	union plx_argument arg;
	int ret;

	if (_IOC_TYPE(cmd) != PLX_TEST_MAGIC)
		return -ENOTTY;
	/* The registers at probe never change, and are too many for the stack. */
	if (cmd == PLX_TEST_SNAPSHOT)
		return copy_to_user(user, &plx->snapshot, sizeof(plx->snapshot)) ? -EFAULT : 0;
	if (size > sizeof(arg))
		return -ENOTTY;
	memset(&arg, 0, sizeof(arg));
	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(&arg, user, size))
		return -EFAULT;
	/* Without the mutex, which an oops would leave locked. */
	if (cmd == PLX_TEST_BREAK)
		return plx_do_break(plx, arg.word);

	mutex_lock(&plx->mutex);
	ret = plx->gone ? -ENODEV : plx_command(plx, cmd, &arg);
	mutex_unlock(&plx->mutex);

	if (!ret && _IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, &arg, size))
		return -EFAULT;
	return ret;
}

static int plx_test_open(struct inode *inode, struct file *file)
{
	struct plx_test *plx = container_of(file->private_data, struct plx_test, misc);
	int ret = 0;

	mutex_lock(&plx->mutex);
	if (plx->gone)
		ret = -ENODEV;
	else if (plx->busy)
		ret = -EBUSY;
	else
		plx->busy = true;
	mutex_unlock(&plx->mutex);
	if (ret)
		return ret;
	kref_get(&plx->ref);
	file->private_data = plx;
	return 0;
}

static int plx_test_release(struct inode *inode, struct file *file)
{
	struct plx_test *plx = file->private_data;

	mutex_lock(&plx->mutex);
	if (!plx->gone) {
		if (plx_hands_off ? plx_hot_reset(plx) : plx_quiesce(plx))
			dev_err(&plx->pdev->dev, "a DMA channel does not stop: its buffers are kept\n");
		else
			plx_let_go(&plx->adapter);
	}
	plx->busy = false;
	mutex_unlock(&plx->mutex);
	kref_put(&plx->ref, plx_test_release_ref);
	return 0;
}

const struct file_operations plx_test_fops = {
	.owner = THIS_MODULE,
	.open = plx_test_open,
	.release = plx_test_release,
	.unlocked_ioctl = plx_test_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
