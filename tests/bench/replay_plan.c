/* Reads the plan of a step: a line for each thing, first its name, then numbers. */
#define _GNU_SOURCE /* getline */
#include "replay_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const WAY[] = {"sum", "owned", "spread"};

replay g = {.texts = 32, .factor = 1, .overhead = 1e-6, .eager = 65000};

void fail(const char *what) {
    fprintf(stderr, "bench_replay: %s\n", what);
    exit(65);
}

void *need(void *memory) {
    if (!memory) fail("not enough memory");
    return memory;
}

void *grow(void *memory, int count, size_t size) {
    return (count & (count - 1)) == 0
               ? need(realloc(memory, (size_t)(count ? 2 * count : 1) * size))
               : memory;
}

/* The next number of a line. */
static double number(const char **at) {
    char *end;
    const double value = strtod(*at, &end);
    if (end == *at) fail("a number is missing in the plan");
    *at = end;
    return value;
}

static int whole(const char **at) { return (int)number(at); }

/* The next word: its length, and *at behind it. */
static const char *word(size_t *length, const char **at) {
    const char *begin = *at + strspn(*at, " ");
    *length = strcspn(begin, " \n");
    *at = begin + *length;
    return begin;
}

static bool is_word(const char *text, size_t length, const char *name) {
    return length == strlen(name) && memcmp(text, name, length) == 0;
}

static void read_steps(route *r, const char *at) {
    for (int i = 0; i < r->steps; i++) {
        at += strspn(at, " ");
        r->step[i].kind = *at++;
        r->step[i].node = whole(&at);
    }
}

static void read_route(const char *at) {
    size_t length;
    const char *name = word(&length, &at);
    const int owner = whole(&at), node = whole(&at), steps = whole(&at);
    if (owner < 0 || owner >= g.nodes || node < 0 || node >= g.nodes || steps < 1)
        fail("a route between nodes that are not there");
    for (way w = 0; w < WAYS; w++) {
        if (!is_word(name, length, WAY[w])) continue;
        route *r = &g.route[w][(size_t)owner * (size_t)g.nodes + (size_t)node];
        *r = (route){need(calloc((size_t)steps, sizeof(step))), steps};
        read_steps(r, at);
    }
}

static void read_plan(const char *at) {
    size_t length;
    g.nodes = whole(&at);
    g.ranks = whole(&at);
    g.parameters = number(&at);
    g.plain = number(&at);
    g.divided = whole(&at) != 0;
    const char *kind = word(&length, &at);
    if (g.nodes < 1 || g.ranks < 1 || length >= sizeof g.kind) fail("a plan that cannot be read");
    memcpy(g.kind, kind, length);
    for (way w = 0; w < WAYS; w++)
        g.route[w] = need(calloc((size_t)g.nodes * (size_t)g.nodes, sizeof(route)));
}

static void read_piece(const char *at) {
    piece p = {.begin = (size_t)number(&at)};
    p.end = (size_t)number(&at);
    p.owner = whole(&at);
    p.mover = whole(&at);
    p.other = whole(&at);
    p.owned = whole(&at) != 0;
    g.piece = grow(g.piece, g.pieces, sizeof p);
    g.piece[g.pieces++] = p;
}

/* begin, end, worker, cost */
static void read_own(const char *at) {
    matrix m = {.begin = (size_t)number(&at)};
    number(&at);
    m.worker = (size_t)number(&at);
    m.cost = number(&at);
    g.matrix = grow(g.matrix, g.matrices, sizeof m);
    g.matrix[g.matrices++] = m;
}

/* texts, tokens, seconds */
static void read_pass(const char *at) {
    if (g.passes == PASSES_MAX) fail("too many passes");
    number(&at);
    g.pass_tokens[g.passes] = number(&at);
    g.pass[g.passes++] = number(&at);
}

static void read_mark(const char *at) {
    if (g.marks == MARKS_MAX) fail("too many marks");
    g.mark[g.marks].at = number(&at);
    g.mark[g.marks++].from = (size_t)number(&at);
}

static void read_memory(const char *at) {
    g.buffers = number(&at);
    g.longest = number(&at);
    g.stretches = whole(&at);
}

static void read_line(const char *at) {
    static const struct {
        const char *name;
        void (*read)(const char *at);
    } LINE[] = {{"route", read_route},  {"plan", read_plan}, {"piece", read_piece},
                {"own", read_own},      {"pass", read_pass}, {"mark", read_mark},
                {"memory", read_memory}};
    const struct {
        const char *name;
        double *value;
    } figure[] = {{"parameters", &g.parameters},
                  {"micro", &g.micro},
                  {"tokens", &g.tokens},
                  {"norm", &g.norm},
                  {"adam", &g.adam},
                  {"average", &g.average},
                  {"matrix", &g.matrix_cost},
                  {"momentum", &g.momentum},
                  {"fold", &g.fold},
                  {"length", &g.length},
                  {"deal", &g.deal}};
    size_t length;
    const char *name = word(&length, &at);
    for (size_t i = 0; i < sizeof LINE / sizeof *LINE; i++) {
        if (!is_word(name, length, LINE[i].name)) continue;
        LINE[i].read(at);
        return;
    }
    for (size_t i = 0; i < sizeof figure / sizeof *figure; i++) {
        if (!is_word(name, length, figure[i].name)) continue;
        *figure[i].value = number(&at);
        return;
    }
    fail(name);
}

void read_file(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file) fail(path);
    while (getline(&line, &room, file) > 0) read_line(line);
    free(line);
    fclose(file);
    if (g.nodes == 0 || g.passes == 0 || g.tokens == 0 || g.stretches < 1)
        fail("the plan is not complete");
}
