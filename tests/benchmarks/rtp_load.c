/* Offers RTP: STREAMS streams of 50 packets a second (12 + 160 octets, PCMA) for SECONDS.
 *
 * usage: rtp_load STREAMS FIRST_PORT SECONDS
 *
 * Stream i goes to 127.0.0.1, port FIRST_PORT + 2i. The streams of a period are spread over
 * twenty slots of a millisecond by an absolute clock. They come from FIRST_PORT - 2; the port
 * above it takes RTCP reports, as a peer's would. Prints how many packets were sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PAYLOAD = 160, SLOTS = 20, BATCH = 256 };

struct stream {
    struct sockaddr_in to;
    uint8_t packet[12 + PAYLOAD];
    uint16_t sequence;
    uint32_t timestamp;
};

static void put16(uint8_t *at, uint16_t value) { value = htons(value); memcpy(at, &value, 2); }
static void put32(uint8_t *at, uint32_t value) { value = htonl(value); memcpy(at, &value, 4); }

static void begin(struct stream *s, int number, int port) {
    s->to.sin_family = AF_INET;
    s->to.sin_port = htons((uint16_t)port);
    s->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->packet[0] = 0x80;
    s->packet[1] = 8;
    s->sequence = (uint16_t)(number * 7919);
    s->timestamp = (uint32_t)number * 104729u;
    put32(s->packet + 8, 0x10000000u + (uint32_t)number);
    for (int i = 0; i < PAYLOAD; i++) s->packet[12 + i] = (uint8_t)(number + i);
}

static void advance(struct stream *s) {
    put16(s->packet + 2, s->sequence++);
    put32(s->packet + 4, s->timestamp);
    s->timestamp += PAYLOAD;
}

static int open_port(int port) {
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (made < 0 || bind(made, (struct sockaddr *)&here, sizeof here)) { perror("bind"); exit(1); }
    return made;
}

static long flush(int out, struct mmsghdr *messages, int count) {
    int done = 0;
    while (done < count) {
        int sent = sendmmsg(out, messages + done, (unsigned)(count - done), 0);
        if (sent <= 0) { perror("sendmmsg"); exit(1); }
        done += sent;
    }
    return done;
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "usage: rtp_load STREAMS FIRST_PORT SECONDS\n"); return 2; }
    int count = atoi(argv[1]), port = atoi(argv[2]);
    long periods = (long)(atof(argv[3]) * 50), sent = 0;
    struct stream *streams = calloc((size_t)count, sizeof *streams);
    for (int i = 0; i < count; i++) begin(&streams[i], i, port + 2 * i);
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    int out = open_port(port - 2);
    open_port(port - 1);
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long slot = 0; slot < periods * SLOTS; slot++) {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        int filled = 0;
        for (int i = (int)(slot % SLOTS); i < count; i += SLOTS) {
            advance(&streams[i]);
            vectors[filled] = (struct iovec){streams[i].packet, sizeof streams[i].packet};
            messages[filled].msg_hdr = (struct msghdr){.msg_name = &streams[i].to,
                .msg_namelen = sizeof streams[i].to, .msg_iov = &vectors[filled], .msg_iovlen = 1};
            if (++filled == BATCH) { sent += flush(out, messages, filled); filled = 0; }
        }
        sent += flush(out, messages, filled);
        due.tv_nsec += 1000000;
        if (due.tv_nsec >= 1000000000) { due.tv_nsec -= 1000000000; due.tv_sec++; }
    }
    printf("%ld\n", sent);
    return 0;
}
