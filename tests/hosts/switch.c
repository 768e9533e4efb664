/* A network switch between hosts that are namespaces of this machine. It delays, slows down, loses
 * and cuts, which kernels without netem cannot.
 *
 * switch PID…: host number i has the network namespace of the i-th process, and gets there a
 * network card eth0 with the address 02:00:00:00:00:i. Prints "ready", then obeys lines on
 * standard input until its end:
 *   delay MS     every frame arrives so much later
 *   rate MBIT    what each host can send a second; 0: no limit
 *   loss PERCENT of the frames are lost
 *   cut HOST     nothing gets to this host or away from it
 *   join HOST    it does again
 * Root only. Source: Linux, Documentation/networking/tuntap.rst. */
#define _GNU_SOURCE /* ppoll, setns */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <net/if_arp.h>

enum { HOSTS_MAX = 16, FRAME_MAX = 9216, BACKLOG_MAX = 256 * 1024, HEADER = 14 };

/* On its way to the port `to`, or to all others (-1). */
typedef struct frame {
    struct frame *next;
    double due;
    int to;
    size_t size;
    unsigned char bytes[];
} frame;

typedef struct {
    int tap;
    bool cut;
    double free_at; /* when all that was sent has left the host */
    size_t backlog; /* bytes on their way */
    frame *first, **last;
} port;

typedef struct {
    port port[HOSTS_MAX];
    int hosts;
    double delay, rate, loss; /* seconds, bytes a second (0: no limit), a share */
    uint64_t random;
} network;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A card in the network namespace of a process. */
static int open_tap(const char *process, int number) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/ns/net", process);
    const int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) fail(path);
    close(space);
    const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    if (ioctl(tap, TUNSETIFF, &request) != 0) fail("eth0");
    struct ifreq address = {
        .ifr_name = "eth0",
        .ifr_hwaddr = {.sa_family = ARPHRD_ETHER, .sa_data = {2, 0, 0, 0, 0, (char)number}}};
    if (ioctl(tap, SIOCSIFHWADDR, &address) != 0) fail("the address of eth0");
    return tap;
}

/* A share of 1, the same sequence each time. Source: Steele et al. 2014, SplitMix. */
static double draw(network *n) {
    uint64_t z = n->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static void deliver_to(const port *p, const frame *f) {
    if (p->cut) return;
    const ssize_t written = write(p->tap, f->bytes, f->size);
    (void)written; /* a card that is full or gone loses it */
}

static void deliver_due(network *n, double time) {
    for (int i = 0; i < n->hosts; i++) {
        port *from = &n->port[i];
        for (frame *f; (f = from->first) && f->due <= time;) {
            for (int to = 0; to < n->hosts; to++) {
                if (to != i && !from->cut && (f->to < 0 || f->to == to))
                    deliver_to(&n->port[to], f);
            }
            from->first = f->next;
            if (!from->first) from->last = &from->first;
            from->backlog -= f->size;
            free(f);
        }
    }
}

/* Which port a frame is for, by the last byte of its address. */
static int target_of(const network *n, const unsigned char *bytes) {
    const int to = bytes[5] - 1;
    return (bytes[0] & 1) || to < 0 || to >= n->hosts ? -1 : to;
}

static void take_frames(network *n, int number, double time) {
    port *from = &n->port[number];
    while (from->backlog < BACKLOG_MAX) {
        unsigned char bytes[FRAME_MAX];
        const ssize_t size = read(from->tap, bytes, sizeof bytes);
        if (size < HEADER) return;
        if (n->rate > 0) {
            from->free_at = (from->free_at > time ? from->free_at : time) + (double)size / n->rate;
        }
        if (from->cut || draw(n) < n->loss) continue;
        frame *f = malloc(sizeof *f + (size_t)size);
        if (!f) fail("memory");
        *f = (frame){.due = (n->rate > 0 ? from->free_at : time) + n->delay,
                     .to = target_of(n, bytes),
                     .size = (size_t)size};
        memcpy(f->bytes, bytes, (size_t)size);
        *from->last = f;
        from->last = &f->next;
        from->backlog += f->size;
    }
}

static void obey(network *n, const char *line) {
    char word[16];
    double value;
    if (sscanf(line, "%15s %lf", word, &value) != 2) return;
    const int host = (int)value - 1;
    if (strcmp(word, "delay") == 0) n->delay = 1e-3 * value;
    if (strcmp(word, "rate") == 0) n->rate = 1e6 / 8 * value;
    if (strcmp(word, "loss") == 0) n->loss = 1e-2 * value;
    if (host < 0 || host >= n->hosts) return;
    if (strcmp(word, "cut") == 0) n->port[host].cut = true;
    if (strcmp(word, "join") == 0) n->port[host].cut = false;
}

/* Returns false at the end of the input. */
static bool take_orders(network *n) {
    char text[1024], *rest = NULL;
    const ssize_t size = read(STDIN_FILENO, text, sizeof text - 1);
    if (size <= 0) return false;
    text[size] = '\0';
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        obey(n, line);
    return true;
}

/* Until a frame or an order comes, or the next frame is due. */
static void wait_for(const network *n, struct pollfd *poll) {
    double first = now() + 1;
    for (int i = 0; i < n->hosts; i++) {
        const port *p = &n->port[i];
        if (p->first && p->first->due < first) first = p->first->due;
        poll[i] = (struct pollfd){.fd = p->backlog < BACKLOG_MAX ? p->tap : -1, .events = POLLIN};
    }
    poll[n->hosts] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    const double rest = first > now() ? first - now() : 0;
    const struct timespec time = {(time_t)rest, (long)(1e9 * (rest - (double)(time_t)rest))};
    ppoll(poll, (nfds_t)n->hosts + 1, &time, NULL);
}

int main(int count, char **word) {
    network n = {.hosts = count - 1, .random = 1};
    struct pollfd poll[HOSTS_MAX + 1];
    if (count < 2 || count > HOSTS_MAX + 1) return 64;
    for (int i = 0; i < n.hosts; i++) {
        n.port[i].tap = open_tap(word[1 + i], i + 1);
        n.port[i].last = &n.port[i].first;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        wait_for(&n, poll);
        const double time = now();
        for (int i = 0; i < n.hosts; i++) {
            if (poll[i].revents & POLLIN) take_frames(&n, i, time);
        }
        deliver_due(&n, now());
        if (poll[n.hosts].revents && !take_orders(&n)) return 0;
    }
}
