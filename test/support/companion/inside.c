// Root inside a machine: carries out the lines of a file, over and over, and says on standard output what became of each. Frames are put
// on the interface as they are, past every stack of the machine.
//
//   wait ADDRESS PORT        until a TCP connection succeeds
//   gone ADDRESS PORT        until one fails
//   tcp NAME ADDRESS PORT    connected, reset, prohibited or timeout
//   udp NAME ADDRESS PORT    answered, prohibited or timeout
//   frame NAME HEX           sent, or errno
//   round                    says that a round has ended

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// What is refused is refused at once; a loaded machine that emulates another is slow.
#define PATIENCE_MS 15000
#define UDP_PATIENCE_MS 2000
#define RETRY_MS 1000

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

static const char *connect_to(const char *address, const char *port, int patience) {
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
			return "timeout";
		}
		getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	close(s);
	return named(error);
}

static const char *ask(const char *address, const char *port) {
	struct sockaddr_storage at;
	socklen_t length = address_of(address, port, &at);
	char answer[64];
	int s = socket(at.ss_family, SOCK_DGRAM, 0);
	const char *result = "timeout";
	if (connect(s, (void *)&at, length) != 0 || send(s, "question", 8, 0) < 0) result = named(errno);
	else {
		struct pollfd wait = {.fd = s, .events = POLLIN};
		if (poll(&wait, 1, UDP_PATIENCE_MS) > 0) result = recv(s, answer, sizeof answer, 0) >= 0 ? "answered" : named(errno);
	}
	close(s);
	return result;
}

static const char *put(const char *hex, int interface) {
	static unsigned char frame[4096];
	size_t length = 0;
	for (; hex[0] && hex[1] && hex[0] != '\n' && length < sizeof frame; hex += 2) {
		unsigned octet;
		if (sscanf(hex, "%2x", &octet) != 1) exit(4);
		frame[length++] = (unsigned char)octet;
	}
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
			char *word = strtok(line, " \n");
			char *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *c = strtok(NULL, " \n");
			if (!word) continue;
			if (!strcmp(word, "round")) printf("round %d has ended\n", round);
			else if (!strcmp(word, "wait"))
				while (strcmp(connect_to(a, b, RETRY_MS), "connected")) usleep(RETRY_MS * 100);
			else if (!strcmp(word, "gone"))
				while (!strcmp(connect_to(a, b, RETRY_MS), "connected")) usleep(RETRY_MS * 100);
			else
				printf("row %d %s %s\n", round, a,
				       !strcmp(word, "tcp")   ? connect_to(b, c, PATIENCE_MS)
				       : !strcmp(word, "udp") ? ask(b, c)
							      : put(b, interface));
		}
		fclose(file);
	}
}
