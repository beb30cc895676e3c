// Root inside a machine: carries out the lines of a file, over and over, and says on standard output what became of each. Frames are put
// on the interface as they are, past every stack of the machine.
//
//   wait ADDRESS PORT                    until a TCP connection succeeds
//   gone ADDRESS PORT                    until one fails
//   known ADDRESS QUESTION               until this resolver answers a question (hex) with NOERROR
//   tcp NAME ADDRESS PORT                connected, reset, prohibited or timeout
//   udp NAME ADDRESS PORT TRIES          answered, reset, prohibited or timeout; a timeout is tried again
//   ping NAME ADDRESS TRIES              the same, for an echo
//   dns NAME ADDRESS WAY QUESTION TRIES  the reply in hex, or why there is none; WAY is udp or tcp; SERVFAIL is tried again too
//   frame NAME HEX                       sent, or errno
//   round                                says that a round has ended

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// What is refused is refused at once; a loaded machine that emulates another is slow.
#define PATIENCE_MS 30000
#define TRY_MS 2000
#define RETRY_MS 1000
#define QUESTION_MOST 1024
#define REPLY_MOST 4096

static socklen_t address_of(const char *text, const char *port, struct sockaddr_storage *at) {
	struct sockaddr_in *v4 = (void *)at;
	struct sockaddr_in6 *v6 = (void *)at;
	memset(at, 0, sizeof *at);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) exit(3);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	return sizeof *v6;
}

static const char *named(int error) {
	switch (error) {
	case 0: return "connected";
	case ECONNREFUSED: case ECONNRESET: return "reset";
	case EHOSTUNREACH: case ENETUNREACH: case EACCES: case EPERM: return "prohibited";
	default: return strerror(error);
	}
}

/** A blocking socket that is connected, or -1 and what became of it. */
static int open_to(const char *address, const char *port, int patience, const char **result) {
	struct sockaddr_storage at;
	socklen_t length = address_of(address, port, &at);
	int error = 0;
	socklen_t size = sizeof error;
	int s = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(s, (void *)&at, length) != 0 && errno != EINPROGRESS) error = errno;
	else {
		struct pollfd wait = {.fd = s, .events = POLLOUT};
		if (poll(&wait, 1, patience) <= 0) {
			close(s);
			*result = "timeout";
			return -1;
		}
		getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	*result = named(error);
	if (error == 0) {
		fcntl(s, F_SETFL, 0);
		return s;
	}
	close(s);
	return -1;
}

static const char *connect_to(const char *address, const char *port, int patience) {
	const char *result;
	int s = open_to(address, port, patience, &result);
	if (s >= 0) close(s);
	return result;
}

/** One datagram to and one fro; the length of the answer, or -1 and why there is none. */
static ssize_t ask_once(const char *address, const char *port, const void *question, size_t length, void *answer,
			size_t most, int patience, const char **result) {
	struct sockaddr_storage at;
	socklen_t size = address_of(address, port, &at);
	int s = socket(at.ss_family, SOCK_DGRAM, 0);
	ssize_t got = -1;
	*result = "timeout";
	if (connect(s, (void *)&at, size) != 0 || send(s, question, length, 0) < 0) *result = named(errno);
	else {
		struct pollfd wait = {.fd = s, .events = POLLIN};
		if (poll(&wait, 1, patience) > 0 && (got = recv(s, answer, most, 0)) < 0) *result = named(errno);
	}
	close(s);
	return got;
}

static const char *ask(const char *address, const char *port, int tries) {
	char answer[64];
	const char *result;
	do
		if (ask_once(address, port, "question", 8, answer, sizeof answer, TRY_MS, &result) >= 0) return "answered";
	while (!strcmp(result, "timeout") && --tries > 0);
	return result;
}

/** An echo request of eight octets and no data; the kernel fills in the checksum of ICMPv6. */
static const char *ping_once(const char *address) {
	struct sockaddr_storage at;
	socklen_t size = address_of(address, "0", &at);
	int six = at.ss_family == AF_INET6;
	static uint16_t sequence;
	uint16_t id = (uint16_t)getpid();
	unsigned char echo[8] = {six ? ICMP6_ECHO_REQUEST : ICMP_ECHO, 0, 0, 0, id >> 8, id & 255, ++sequence >> 8, sequence & 255};
	unsigned sum = (unsigned)((echo[0] << 8) + id + sequence);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	if (!six) echo[2] = (unsigned char)(sum >> 8), echo[3] = (unsigned char)sum;
	int s = socket(at.ss_family, SOCK_RAW, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	const char *result = "timeout";
	if (connect(s, (void *)&at, size) != 0 || send(s, echo, sizeof echo, 0) < 0) result = named(errno);
	else
		// The socket is told of every ICMP message of that address, IPv4's with their IP header.
		for (struct pollfd wait = {.fd = s, .events = POLLIN}; !strcmp(result, "timeout") && poll(&wait, 1, TRY_MS) > 0;) {
			unsigned char seen[256];
			ssize_t got = recv(s, seen, sizeof seen, 0);
			size_t head = six ? 0 : (size_t)(seen[0] & 15) * 4;
			if (got < 0) result = named(errno);
			else if ((size_t)got >= head + 8 && seen[head] == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) &&
				 !memcmp(seen + head + 4, echo + 4, 4))
				result = "answered";
		}
	close(s);
	return result;
}

static const char *ping(const char *address, int tries) {
	const char *result;
	do result = ping_once(address);
	while (!strcmp(result, "timeout") && --tries > 0);
	return result;
}

static size_t octets_of(const char *hex, unsigned char *to, size_t most) {
	size_t length = 0;
	for (; hex[0] && hex[1] && length < most; hex += 2) {
		unsigned octet;
		if (sscanf(hex, "%2x", &octet) != 1) exit(4);
		to[length++] = (unsigned char)octet;
	}
	return length;
}

/** As much as was asked for; false when the other side ends it or says nothing any more. */
static int read_whole(int s, unsigned char *to, size_t length) {
	for (size_t have = 0; have < length;) {
		ssize_t got = recv(s, to + have, length - have, 0);
		if (got <= 0) return 0;
		have += (size_t)got;
	}
	return 1;
}

/** RFC 1035 section 4.2: over TCP each message has its length before it. */
static ssize_t ask_stream(const char *address, unsigned char *framed, size_t length, unsigned char *reply, const char **result) {
	int s = open_to(address, "53", PATIENCE_MS, result);
	if (s < 0) return -1;
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	unsigned char head[2];
	ssize_t got = -1;
	*result = "silent";
	framed[0] = (unsigned char)(length >> 8);
	framed[1] = (unsigned char)length;
	if (send(s, framed, length + 2, MSG_NOSIGNAL) == (ssize_t)length + 2 && read_whole(s, head, 2)) {
		size_t size = (size_t)(head[0] << 8 | head[1]);
		if (size <= REPLY_MOST && read_whole(s, reply, size)) got = (ssize_t)size;
	}
	close(s);
	return got;
}

static const char *resolve(const char *address, const char *way, const char *hex, int tries) {
	static unsigned char framed[2 + QUESTION_MOST], reply[REPLY_MOST];
	static char said[2 * REPLY_MOST + 1];
	size_t length = octets_of(hex, framed + 2, QUESTION_MOST);
	for (;; usleep(RETRY_MS * 1000)) {
		const char *result;
		// With more tries to come a datagram is asked again as resolvers do; the last one has all the time there is.
		int patience = tries > 1 ? 2 * TRY_MS : PATIENCE_MS;
		ssize_t got = !strcmp(way, "tcp")
				  ? ask_stream(address, framed, length, reply, &result)
				  : ask_once(address, "53", framed + 2, length, reply, sizeof reply, patience, &result);
		int again = got < 0 ? !strcmp(result, "timeout") : got > 3 && (reply[3] & 15) == 2;
		if (again && --tries > 0) continue;
		for (ssize_t i = 0; i < got; i++) sprintf(said + 2 * i, "%02x", reply[i]);
		return got < 0 ? result : said;
	}
}

/** Whether the reply, in hex, has the code NOERROR. */
static int is_answer(const char *said) { return strlen(said) >= 24 && said[7] == '0'; }

static const char *put(const char *hex, int interface) {
	static unsigned char frame[4096];
	size_t length = octets_of(hex, frame, sizeof frame);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = interface, .sll_halen = 6};
	memcpy(to.sll_addr, frame, 6);
	int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	const char *result = sendto(s, frame, length, 0, (void *)&to, sizeof to) == (ssize_t)length ? "sent" : strerror(errno);
	close(s);
	return result;
}

int main(int argc, char **argv) {
	static char line[16384];
	if (argc != 3) return 64;
	int interface = (int)if_nametoindex(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int round = 1;; round++) {
		FILE *file = fopen(argv[1], "r");
		if (!file || !interface) return 1;
		while (fgets(line, sizeof line, file)) {
			char *words[6] = {strtok(line, " \n")};
			for (int i = 1; i < 6 && words[i - 1]; i++) words[i] = strtok(NULL, " \n");
			char *word = words[0], *a = words[1], *b = words[2], *c = words[3];
			if (!word) continue;
			if (!strcmp(word, "round")) printf("round %d has ended\n", round);
			else if (!strcmp(word, "wait"))
				while (strcmp(connect_to(a, b, RETRY_MS), "connected")) usleep(RETRY_MS * 100);
			else if (!strcmp(word, "gone"))
				while (!strcmp(connect_to(a, b, RETRY_MS), "connected")) usleep(RETRY_MS * 100);
			else if (!strcmp(word, "known"))
				while (!is_answer(resolve(a, "udp", b, 2))) usleep(RETRY_MS * 100);
			else
				printf("row %d %s %s\n", round, a,
				       !strcmp(word, "tcp")    ? connect_to(b, c, PATIENCE_MS)
				       : !strcmp(word, "udp")  ? ask(b, c, atoi(words[4]))
				       : !strcmp(word, "ping") ? ping(b, atoi(c))
				       : !strcmp(word, "dns")  ? resolve(b, c, words[4], atoi(words[5]))
							       : put(b, interface));
		}
		fclose(file);
	}
}
