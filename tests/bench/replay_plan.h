/* What bench_schedule has planned and measured, and what bench_replay makes of it. */
#ifndef DTRAIN_REPLAY_PLAN_H
#define DTRAIN_REPLAY_PLAN_H

#include <stdbool.h>
#include <stddef.h>

enum { MARKS_MAX = 4096, PASSES_MAX = 8 };

typedef enum { SUM, OWNED, SPREAD, WAYS } way;

typedef struct {
    char kind; /* r receive, a add, s send, o round, t take, g give */
    int node;
} step;

typedef struct {
    step *step;
    int steps;
} route;

typedef struct {
    size_t begin, end;
    int owner, mover, other; /* the mover on the owner's node, and on all others */
    bool owned;
} piece;

typedef struct {
    size_t begin, worker;
    double cost;
} matrix;

typedef struct {
    double at;
    size_t from;
} mark;

typedef enum { PROGRAM, RABENSEIFNER, NONE } exchange;

typedef struct {
    /* The plan. */
    int nodes, ranks;
    double parameters, plain;
    bool divided;
    char kind[16];
    piece *piece;
    int pieces;
    matrix *matrix;
    int matrices;
    route *route[WAYS]; /* (nodes, nodes) by owner, then node */
    double buffers, longest;
    int stretches; /* under way at once */
    /* What was measured. */
    double pass_tokens[PASSES_MAX], pass[PASSES_MAX];
    int passes;
    mark mark[MARKS_MAX];
    int marks;
    double micro, tokens, norm, adam, average, matrix_cost, momentum, fold, length, deal;
    /* Options. */
    exchange exchange;
    double texts, factor, overhead, eager;
    /* Results. */
    double passed, end, summed, messages, bytes;
} replay;

extern replay g;

/* Read the file of a plan into g. */
void read_file(const char *path);

/* End with that sentence. */
_Noreturn void fail(const char *what);

/* The memory, or the end. */
void *need(void *memory);

/* Room for one more of `count` elements: twice as many when it is full. */
void *grow(void *memory, int count, size_t size);

#endif
