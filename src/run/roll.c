/* A question and an answer are datagrams with the number of the job; whoever does not know it gets
 * no answer. */
#define _GNU_SOURCE /* pipe2 */
#include "roll.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/memory.h"

/* Ranks of a node that answer: should one be stopped, there is another. */
enum { SPEAKERS = 2 };

/* Addresses of a host that are tried. */
enum { ADDRESSES = 4 };

/* How a rank can be asked. */
typedef struct {
    uint32_t node, rank, ranks; /* ranks: of its node */
    uint16_t port;              /* as it travels; 0: cannot be asked */
    uint16_t addresses;
    uint32_t address[ADDRESSES]; /* as they travel */
} speaker;

typedef struct {
    uint64_t job;
    uint32_t asks; /* 1: a question, 0: an answer */
    uint32_t node, answer;
    uint32_t none;
} datagram;

struct dt_roll {
    uint64_t job;
    size_t node, nodes;
    speaker *speaker; /* (speakers) by rank */
    size_t speakers;
    int socket, quit[2]; /* -1: none; quit: a pipe, closed to end the thread */
    _Atomic uint32_t answer;
    pthread_t thread;
    bool running;
};

/* ---- answering ---- */

static void *answer_all(void *argument) {
    dt_roll *r = argument;
    struct pollfd wait[2] = {{.fd = r->socket, .events = POLLIN}, {.fd = r->quit[0]}};
    for (;;) {
        if (poll(wait, 2, -1) < 0) continue;
        if (wait[1].revents) return NULL;
        datagram d;
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        const ssize_t got =
            recvfrom(r->socket, &d, sizeof d, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (got != (ssize_t)sizeof d || d.job != r->job || d.asks != 1) continue;
        d = (datagram){.job = r->job, .node = (uint32_t)r->node, .answer = atomic_load(&r->answer)};
        sendto(r->socket, &d, sizeof d, MSG_DONTWAIT, (struct sockaddr *)&from, size);
    }
}

/* The host's own addresses; that of the loopback only if there is no other. */
static void find_addresses(speaker *s) {
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) return;
    for (int loopback = 0; loopback <= 1 && s->addresses == 0; loopback++) {
        for (const struct ifaddrs *each = all; each && s->addresses < ADDRESSES;
             each = each->ifa_next) {
            const bool up = each->ifa_flags & IFF_UP;
            const bool loops = each->ifa_flags & IFF_LOOPBACK;
            if (!each->ifa_addr || each->ifa_addr->sa_family != AF_INET || !up || loops != loopback)
                continue;
            struct sockaddr_in in;
            memcpy(&in, each->ifa_addr, sizeof in);
            s->address[s->addresses++] = in.sin_addr.s_addr;
        }
    }
    freeifaddrs(all);
}

static int open_socket(uint16_t *port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_ANY)}};
    socklen_t size = sizeof own;
    const int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (made < 0) return -1;
    if (bind(made, (struct sockaddr *)&own, size) != 0 ||
        getsockname(made, (struct sockaddr *)&own, &size) != 0) {
        close(made);
        return -1;
    }
    *port = own.sin_port;
    return made;
}

/* Without the thread this rank cannot be asked, and nothing else is lost. */
static void start_answering(dt_roll *r, speaker *own) {
    uint16_t port = 0;
    sigset_t all, before;
    r->socket = open_socket(&port);
    if (r->socket < 0 || pipe2(r->quit, O_CLOEXEC) != 0) return;
    find_addresses(own);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r->running = pthread_create(&r->thread, NULL, answer_all, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r->running) own->port = port;
}

/* ---- opening ---- */

static bool speaks(const dt_comm *comm) { return dt_comm_local_rank(comm) < SPEAKERS; }

/* Everybody's addresses on all ranks; those that do not speak forget them. */
static dt_status share_addresses(dt_roll *r, dt_comm *comm, const speaker *own) {
    char *bytes = NULL;
    size_t capacity = 0, count = speaks(comm) ? sizeof *own : 0;
    dt_status status = dt_memory_grow(&bytes, &capacity, sizeof *own, 1, "addresses of the nodes");
    if (status == DT_OK && count) memcpy(bytes, own, sizeof *own);
    DT_TRY_DONE(dt_comm_agree(comm, status));
    DT_TRY_DONE(dt_comm_collect(comm, &bytes, &capacity, &count));
    DT_TRY_DONE(dt_comm_broadcast(comm, &count, sizeof count));
    DT_TRY_DONE(
        dt_comm_agree(comm, dt_memory_grow(&bytes, &capacity, count, 1, "addresses of the nodes")));
    DT_TRY_DONE(dt_comm_broadcast(comm, bytes, count));
    if (speaks(comm)) {
        r->speakers = count / sizeof *own;
        status =
            dt_memory_alloc(&r->speaker, r->speakers, sizeof *r->speaker, "addresses of nodes");
        if (status == DT_OK) memcpy(r->speaker, bytes, r->speakers * sizeof *r->speaker);
    }
    status = dt_comm_agree(comm, status);
done:
    dt_memory_free(&bytes);
    return status;
}

dt_status dt_roll_open(dt_roll **out, dt_comm *comm) {
    *out = NULL;
    if (dt_comm_nodes(comm) == 1) return DT_OK;
    dt_roll *r;
    DT_TRY(dt_comm_agree(comm, dt_memory_alloc(&r, 1, sizeof *r, "the roll of nodes")));
    *r = (dt_roll){.node = dt_comm_node(comm),
                   .nodes = dt_comm_nodes(comm),
                   .socket = -1,
                   .quit = {-1, -1},
                   .answer = DT_ROLL_WAITS};
    speaker own = {.node = (uint32_t)r->node,
                   .rank = (uint32_t)dt_comm_rank(comm),
                   .ranks = (uint32_t)dt_comm_local_size(comm)};
    if (getrandom(&r->job, sizeof r->job, 0) != (ssize_t)sizeof r->job) r->job = (uint64_t)getpid();
    dt_status status;
    DT_TRY_DONE(dt_comm_broadcast(comm, &r->job, sizeof r->job));
    if (speaks(comm)) start_answering(r, &own);
    DT_TRY_DONE(share_addresses(r, comm, &own));
    *out = r;
    return DT_OK;
done:
    dt_roll_close(&r);
    return status;
}

void dt_roll_close(dt_roll **out) {
    dt_roll *r = *out;
    if (!r) return;
    if (r->quit[1] >= 0) close(r->quit[1]);
    if (r->running) pthread_join(r->thread, NULL);
    if (r->quit[0] >= 0) close(r->quit[0]);
    if (r->socket >= 0) close(r->socket);
    dt_memory_free(&r->speaker);
    dt_memory_free(out);
}

void dt_roll_say(dt_roll *roll, dt_roll_answer answer) {
    if (roll) atomic_store(&roll->answer, (uint32_t)answer);
}

/* ---- asking ---- */

static bool is_asked(const speaker *s, size_t begin, size_t end) {
    return s->port != 0 && s->addresses > 0 && s->node >= begin && s->node < end;
}

static void send_questions(const dt_roll *r, const dt_roll_answer *answer, int from, size_t begin,
                           size_t end) {
    const datagram d = {.job = r->job, .asks = 1};
    for (size_t i = 0; i < r->speakers; i++) {
        const speaker *s = &r->speaker[i];
        if (!is_asked(s, begin, end) || answer[s->node] != DT_ROLL_SILENT) continue;
        for (size_t k = 0; k < s->addresses; k++) {
            const struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = s->port, .sin_addr = {s->address[k]}};
            sendto(from, &d, sizeof d, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to);
        }
    }
}

/* Answers that come within some seconds. */
static void take_answers(const dt_roll *r, dt_roll_answer *answer, int socket, size_t begin,
                         size_t end, double seconds) {
    const double until = dt_seconds_now() + seconds;
    for (double left; (left = until - dt_seconds_now()) > 0;) {
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        datagram d;
        if (poll(&wait, 1, 1 + (int)(1e3 * left)) != 1) continue;
        if (recv(socket, &d, sizeof d, MSG_DONTWAIT) != (ssize_t)sizeof d) continue;
        if (d.job != r->job || d.asks || d.node < begin || d.node >= end) continue;
        if (d.answer > (uint32_t)answer[d.node] && d.answer <= DT_ROLL_NAMED)
            answer[d.node] = (dt_roll_answer)d.answer;
    }
}

static bool all_answer(const dt_roll_answer *answer, size_t begin, size_t end) {
    for (size_t node = begin; node < end; node++) {
        if (answer[node] == DT_ROLL_SILENT) return false;
    }
    return true;
}

void dt_roll_ask(dt_roll *roll, dt_roll_answer *answer, size_t begin, size_t end, double seconds) {
    static const double AGAIN = 0.25; /* a datagram may be lost */
    uint16_t port;
    for (size_t node = begin; node < end; node++) answer[node] = DT_ROLL_UNKNOWN;
    const int asking = open_socket(&port);
    if (asking < 0) return;
    for (size_t i = 0; i < roll->speakers; i++) {
        if (is_asked(&roll->speaker[i], begin, end)) answer[roll->speaker[i].node] = DT_ROLL_SILENT;
    }
    const double until = dt_seconds_now() + seconds;
    do {
        send_questions(roll, answer, asking, begin, end);
        take_answers(roll, answer, asking, begin, end, AGAIN);
    } while (!all_answer(answer, begin, end) && dt_seconds_now() < until);
    close(asking);
}

void dt_roll_ranks(const dt_roll *roll, size_t node, size_t *first, size_t *count) {
    *first = *count = 0;
    for (size_t i = 0; i < roll->speakers && *count == 0; i++) {
        const speaker *s = &roll->speaker[i];
        if (s->node != node) continue;
        *first = s->rank;
        *count = s->ranks;
    }
}
