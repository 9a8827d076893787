/* Receives RTP and throws it away: the least that a receiver of this kind can cost.
 *
 * usage: rtp_floor tick|epoll STREAMS FIRST_PORT
 *
 * `tick` empties all sockets every 200 ms, `epoll` reads each socket when it has something, the
 * usual design. Prints "ready", and at SIGTERM how many packets came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { ROOM = 64, SLOT = 2048, TICK_NS = 200000000 };

static volatile sig_atomic_t over;
static uint8_t octets[ROOM][SLOT];
static struct iovec vectors[ROOM];
static struct mmsghdr messages[ROOM];

static void stop(int number) { (void)number; over = 1; }

static int open_port(int port) {
    int in = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), buffer = 1 << 20;
    setsockopt(in, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (in < 0 || bind(in, (struct sockaddr *)&here, sizeof here)) { perror("bind"); exit(1); }
    return in;
}

static long drain(int in) {
    long total = 0;
    for (;;) {
        int got = recvmmsg(in, messages, ROOM, MSG_DONTWAIT, NULL);
        if (got > 0) total += got;
        if (got < ROOM) return total;
    }
}

static long run_tick(const int *sockets, int count) {
    long total = 0;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    while (!over) {
        due.tv_nsec += TICK_NS;
        if (due.tv_nsec >= 1000000000) { due.tv_nsec -= 1000000000; due.tv_sec++; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        for (int i = 0; i < count; i++) total += drain(sockets[i]);
    }
    return total;
}

static long run_epoll(const int *sockets, int count) {
    long total = 0;
    int watch = epoll_create1(0);
    static struct epoll_event ready[512];
    for (int i = 0; i < count; i++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = sockets[i]};
        epoll_ctl(watch, EPOLL_CTL_ADD, sockets[i], &wanted);
    }
    while (!over) {
        int got = epoll_wait(watch, ready, 512, 200);
        for (int i = 0; i < got; i++) total += drain(ready[i].data.fd);
    }
    return total;
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "usage: rtp_floor tick|epoll STREAMS FIRST_PORT\n"); return 2; }
    int count = atoi(argv[2]), port = atoi(argv[3]);
    int *sockets = calloc((size_t)count, sizeof *sockets);
    for (int i = 0; i < count; i++) sockets[i] = open_port(port + 2 * i);
    for (int i = 0; i < ROOM; i++) {
        vectors[i] = (struct iovec){octets[i], SLOT};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    signal(SIGTERM, stop);
    puts("ready");
    fflush(stdout);
    long total = strcmp(argv[1], "epoll") ? run_tick(sockets, count) : run_epoll(sockets, count);
    printf("%ld\n", total);
    return 0;
}
