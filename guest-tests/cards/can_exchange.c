// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two CAN interfaces on one bus, by SocketCAN: what one sends the other has to receive, as it was sent.
 *
 *   can_exchange exchange COUNT BITRATE   frames of every kind, both ways at once
 *   can_exchange busoff BITRATE OTHER     they do not understand each other: the sender has to go bus-off, and come back
 *
 * Says on one line what was done; anything else is an error, and the exit status is 1.
 */
#include <errno.h>
#include <linux/can.h>
#include <linux/can/error.h>
#include <linux/can/netlink.h>
#include <linux/can/raw.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BURST 4 /* frames that a controller's FIFO holds, even of the longest kind */
#define PATIENCE_S 5

static const char *const names[2] = { "can0", "can1" };
static unsigned int arbitrations_lost;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	exit(1);
}

/* -- interfaces, by rtnetlink ------------------------------------------------------------------- */

struct link_request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	char attributes[256];
};

static struct rtattr *attach(struct link_request *request, int type, const void *data, size_t size)
{
	struct rtattr *made = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->head.nlmsg_len));

	made->rta_type = type;
	made->rta_len = RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(made), data, size);
	request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + RTA_ALIGN(made->rta_len);
	return made;
}

static void close_nest(struct link_request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->head.nlmsg_len - (char *)nest;
}

static void ask(struct link_request *request, const char *what)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0 || send(fd, request, request->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		die("%s: %s", what, strerror(errno));
	close(fd);
	if (answer.head.nlmsg_type != NLMSG_ERROR || answer.error.error)
		die("%s: %s", what, strerror(-answer.error.error));
}

static void begin(struct link_request *request, int index, unsigned int flags)
{
	memset(request, 0, sizeof(*request));
	request->head.nlmsg_len = NLMSG_LENGTH(sizeof(request->link));
	request->head.nlmsg_type = RTM_NEWLINK;
	request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->link.ifi_index = index;
	request->link.ifi_flags = flags;
	request->link.ifi_change = IFF_UP;
}

static void bring_up(const char *name, unsigned int bitrate, unsigned int restart_ms)
{
	struct can_bittiming timing = { .bitrate = bitrate };
	struct rtattr *info, *data;
	struct link_request request;
	int index = if_nametoindex(name);

	if (!index)
		die("there is no interface %s", name);
	begin(&request, index, 0);
	info = attach(&request, IFLA_LINKINFO, NULL, 0);
	attach(&request, IFLA_INFO_KIND, "can", 3);
	data = attach(&request, IFLA_INFO_DATA, NULL, 0);
	attach(&request, IFLA_CAN_BITTIMING, &timing, sizeof(timing));
	if (restart_ms)
		attach(&request, IFLA_CAN_RESTART_MS, &restart_ms, sizeof(restart_ms));
	close_nest(&request, data);
	close_nest(&request, info);
	ask(&request, "setting the bit rate");
	begin(&request, index, IFF_UP);
	ask(&request, "bringing the interface up");
}

static void take_down(const char *name)
{
	struct link_request request;

	begin(&request, if_nametoindex(name), 0);
	ask(&request, "taking the interface down");
}

/* -- frames --------------------------------------------------------------------------------------- */

static int open_on(const char *name)
{
	struct sockaddr_can address = { .can_family = AF_CAN, .can_ifindex = if_nametoindex(name) };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	can_err_mask_t errors = CAN_ERR_MASK;
	int fd = socket(PF_CAN, SOCK_RAW, CAN_RAW);

	if (fd < 0 || setsockopt(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &errors, sizeof(errors)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("a socket on %s: %s", name, strerror(errno));
	return fd;
}

/* The same numbers each time, and other ones for each frame. */
static uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Every length, of both formats, data and remote, in turn. */
static struct can_frame made(unsigned int number)
{
	struct can_frame frame = { .can_dlc = number % 9 };
	int i;

	if (number / 9 % 2)
		frame.can_id = (next_random() & CAN_EFF_MASK) | CAN_EFF_FLAG;
	else
		frame.can_id = next_random() & CAN_SFF_MASK;
	if (number / 18 % 3 == 2)
		frame.can_id |= CAN_RTR_FLAG;
	else
		for (i = 0; i < frame.can_dlc; i++)
			frame.data[i] = next_random();
	return frame;
}

static void put(int fd, const struct can_frame *frame)
{
	if (write(fd, frame, sizeof(*frame)) != sizeof(*frame))
		die("sending: %s", strerror(errno));
}

static void get(int fd, const char *name, struct can_frame *frame)
{
	do {
		if (read(fd, frame, sizeof(*frame)) != sizeof(*frame))
			die("receiving on %s: %s", name, strerror(errno));
		/* To lose an arbitration is no error of anybody's. */
		arbitrations_lost += frame->can_id == (CAN_ERR_FLAG | CAN_ERR_LOSTARB);
	} while (frame->can_id == (CAN_ERR_FLAG | CAN_ERR_LOSTARB));
}

static void check(const struct can_frame *wanted, const struct can_frame *got, const char *name, unsigned int number)
{
	if (got->can_id != wanted->can_id || got->can_dlc != wanted->can_dlc ||
	    memcmp(got->data, wanted->data, sizeof(wanted->data)))
		die("frame %u on %s is %08x [%u], not %08x [%u]", number, name, got->can_id, got->can_dlc, wanted->can_id,
		    wanted->can_dlc);
}

static void exchange(unsigned int count, unsigned int bitrate)
{
	struct can_frame sent[2][BURST], got;
	unsigned int done, i, side;
	int fd[2];

	for (side = 0; side < 2; side++) {
		bring_up(names[side], bitrate, 0);
		fd[side] = open_on(names[side]);
	}
	for (done = 0; done < count; done += BURST) {
		for (i = 0; i < BURST; i++)
			for (side = 0; side < 2; side++) {
				sent[side][i] = made(done + i);
				put(fd[side], &sent[side][i]);
			}
		for (side = 0; side < 2; side++)
			for (i = 0; i < BURST; i++) {
				get(fd[!side], names[!side], &got);
				check(&sent[side][i], &got, names[!side], done + i);
			}
	}
	printf("%u frames each way, %u arbitrations lost\n", done, arbitrations_lost);
}

static void wait_for(int fd, canid_t class)
{
	struct can_frame got;

	do {
		get(fd, names[0], &got);
	} while (!(got.can_id & CAN_ERR_FLAG) || !(got.can_id & class));
}

static void bus_off(unsigned int bitrate, unsigned int other)
{
	struct can_frame frame = { .can_id = 0x123, .can_dlc = 2, .data = { 0xca, 0xfe } }, got;
	int fd;

	take_down(names[0]);
	take_down(names[1]);
	bring_up(names[0], bitrate, 100);
	bring_up(names[1], other, 0);
	fd = open_on(names[0]);
	put(fd, &frame);
	wait_for(fd, CAN_ERR_BUSOFF);
	wait_for(fd, CAN_ERR_RESTARTED);
	take_down(names[1]);
	bring_up(names[1], bitrate, 0);
	close(fd);
	fd = open_on(names[1]);
	put(open_on(names[0]), &frame);
	get(fd, names[1], &got);
	check(&frame, &got, names[1], 0);
	printf("bus-off, and back\n");
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "exchange"))
		exchange(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	else if (argc == 4 && !strcmp(argv[1], "busoff"))
		bus_off(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	else
		die("can_exchange exchange COUNT BITRATE, or can_exchange busoff BITRATE OTHER");
	return 0;
}
