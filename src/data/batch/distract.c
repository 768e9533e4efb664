/* Distractors: digits before a training text that stand for those of longer numbers, which have
 * other places. */
#include "dtrain/data/distract.h"

#include <ctype.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/data/digits.h"

/* Between a text's places and those of distractors that stand alone: it still sees where its
 * numbers end. */
enum { GAP = 2 };

/* Of distractors in a row, one in so many is a mark instead: more where queries and keys are
 * turned, which would count from the mark of a number to its end. */
static uint32_t mark_share(const dt_config *config) {
    return config->place_embedding == DT_PLACES_ROTARY ? 3 : 8;
}

/* Places that distractors may have. */
typedef struct {
    int32_t below;       /* 1 … below */
    int32_t above, last; /* above … last */
} free_places;

static int32_t count_above(const free_places *f) {
    return f->last < f->above ? 0 : f->last - f->above + 1;
}

/* All that such a text's digits may have, but for its own, and the gap. */
static free_places find_free(const dt_batch *batch, size_t begin, size_t end,
                             const dt_config *config) {
    const int32_t gap = config->distractor_run > 0 ? 0 : GAP;
    int32_t least = INT32_MAX, most = 0;
    for (size_t i = begin; i < end; i++) {
        const int32_t place = batch->place[i];
        if (place > 0 && place < least) least = place;
        if (place > most) most = place;
    }
    if (most == 0) return (free_places){.above = 1};
    const int32_t below = least - gap - 1;
    return (free_places){.below = below > 0 ? below : 0,
                         .above = most + gap + 1,
                         .last = most - least + 1 + (int32_t)config->place_offset};
}

/* A digit or letter of a number. All its tokens have the same position, and the one behind it, too:
 * so the next one tells whether a token belongs to it. */
static bool is_of_number(const dt_batch *batch, size_t i, const dt_tokenizer *tokenizer) {
    const char *token = dt_tokenizer_token(tokenizer, batch->token[i]);
    const bool character = token && token[0] && !token[1] && isalnum((unsigned char)token[0]);
    return character && batch->place[i] > 0 && batch->position[i] == batch->position[i + 1];
}

static bool is_mark(const dt_batch *batch, size_t i, const dt_tokenizer *tokenizer) {
    return dt_tokenizer_is_mark(tokenizer, batch->token[i]);
}

/* Where the number ends that token `begin` is the mark or the first digit of. */
static size_t end_of_number(const dt_batch *batch, size_t begin, size_t end,
                            const dt_tokenizer *tokenizer) {
    const bool marked = is_mark(batch, begin, tokenizer);
    dt_digit_run run = {.is_signed = true, .digits = marked};
    size_t i = begin + marked;
    for (; i < end && !is_mark(batch, i, tokenizer); i++) {
        const char *token = dt_tokenizer_token(tokenizer, batch->token[i]);
        const bool single = token && token[0] && !token[1];
        if (dt_digit_run_take(&run, single ? token[0] : '\0') == DT_OUTSIDE) break;
    }
    return i;
}

typedef bool is_wanted(const dt_batch *batch, size_t i, const dt_tokenizer *tokenizer);

/* The first such token in begin … end - 2 from `from` on, then from `begin` up to it; `end`: there
 * is none. */
static size_t find(is_wanted *wanted, const dt_batch *batch, size_t begin, size_t end, size_t from,
                   const dt_tokenizer *tokenizer) {
    for (size_t i = from; i + 1 < end; i++) {
        if (wanted(batch, i, tokenizer)) return i;
    }
    for (size_t i = begin; i < from && i + 1 < end; i++) {
        if (wanted(batch, i, tokenizer)) return i;
    }
    return end;
}

static void move(int32_t *value, size_t begin, size_t end, size_t count) {
    memmove(value + begin + count, value + begin, (end - begin) * sizeof *value);
}

size_t dt_distractors(const dt_config *config, uint64_t position) {
    uint32_t word[4];
    if (config->distractors == 0) return 0;
    dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_DISTRACTOR, 0, position);
    return (size_t)dt_random_below(word, (uint64_t)config->distractors + 1);
}

/* A text, and the distractors before it. */
typedef struct {
    dt_batch *batch;
    const dt_config *config;
    const dt_tokenizer *tokenizer;
    uint64_t position;
    free_places free;
    size_t begin;      /* of the distractors */
    size_t first, end; /* of the text */
} scene;

/* Random numbers of distractor k. `of` says what they are for: 0 which token it is, 1 a row that
 * begins, 2 the place of a mark, 3 a digit of the row. There are fewer than 65535 distractors. */
static void draw(uint32_t word[4], const scene *s, size_t k, uint32_t of) {
    dt_random_block(word, (uint64_t)s->config->seed, DT_RANDOM_DISTRACTOR,
                    (uint32_t)k + 1 + (of << 16), s->position);
}

/* Where distractors like this token may stand, which go along where it is moved. */
static free_places free_for(const scene *s, size_t like) {
    const int32_t apart = s->batch->apart[like - s->first];
    free_places f = s->free;
    f.below += apart;
    f.above += apart;
    if (f.below < 0) f.below = 0;
    if (f.below > f.last) f.below = f.last;
    if (f.above < 1) f.above = 1;
    return f.below + count_above(&f) > 0 ? f : s->free;
}

static void put(const scene *s, size_t k, size_t like, int32_t place) {
    dt_batch *batch = s->batch;
    batch->token[s->begin + k] = batch->token[like];
    batch->position[s->begin + k] = batch->position[like];
    batch->place[s->begin + k] = batch->place[like];
    batch->spot[s->begin + k] = batch->spot[like];
    dt_batch_move(batch, s->begin + k, place);
    batch->target[s->begin + k] = -1;
}

/* Distractor k, which stands alone. */
static void put_alone(const scene *s, size_t k) {
    uint32_t word[4];
    draw(word, s, k, 0);
    const size_t from = s->first + dt_random_below(word, s->end - s->first);
    const size_t like = find(is_of_number, s->batch, s->first, s->end, from, s->tokenizer);
    const free_places f = free_for(s, like);
    const uint64_t places = (uint64_t)f.below + (uint64_t)count_above(&f);
    const int32_t place = (int32_t)dt_random_below(word + 2, places);
    put(s, k, like, place < f.below ? place + 1 : f.above + place - f.below);
}

/* Digits in a row, which go on with one of the text's numbers. */
typedef struct {
    size_t begin, end;   /* the tokens of that number, and the one behind it */
    int32_t place, step; /* of the next digit, and to the one after it */
    int32_t left;
    bool ends; /* what ends that number comes behind the last one, too */
} row;

/* `like`: a digit of the number. */
static row begin_row(const scene *s, size_t k, size_t like) {
    const dt_batch *batch = s->batch;
    const free_places f = free_for(s, like);
    const int32_t above = count_above(&f), below = f.below;
    uint32_t word[4];
    row r = {.begin = like};
    while (r.begin > s->first && batch->position[r.begin - 1] == batch->position[like]) r.begin--;
    r.end = dt_max_size(like + 1, end_of_number(batch, r.begin, s->end, s->tokenizer));
    draw(word, s, k, 1);
    const bool up = below == 0 || (above > 0 && word[0] % 2 == 0);
    const int32_t room = up ? above : below;
    r.step = up ? 1 : -1;
    r.place = up ? f.above : below;
    r.left = 1 + (int32_t)dt_random_below(word + 2, (uint64_t)s->config->distractor_run);
    /* What ends the text's last number is none of its inputs. */
    const bool has_end =
        r.end < s->end && batch->place[r.end] > 0 && !is_mark(batch, r.end, s->tokenizer);
    r.ends = has_end && up && r.left < room && word[1] % 2 == 0;
    if (r.left > room) r.left = room;
    return r;
}

/* Distractor k, a digit of the row or what ends it; or a mark, which may have any place, so that
 * none tells where a number began. */
static void put_next(row *r, const scene *s, size_t k) {
    const dt_batch *batch = s->batch;
    uint32_t word[4];
    draw(word, s, k, 0);
    const size_t from = s->first + dt_random_below(word, s->end - s->first);
    const size_t mark = word[3] % mark_share(s->config) == 0
                            ? find(is_mark, batch, s->first, s->end, from, s->tokenizer)
                            : s->end;
    if (mark < s->end) {
        draw(word, s, k, 2);
        put(s, k, mark, 1 + (int32_t)dt_random_below(word, (uint64_t)s->free.last));
        return;
    }
    if (r->left == 0 && r->ends) {
        put(s, k, r->end, r->place);
        r->ends = false;
        return;
    }
    if (r->left == 0)
        *r = begin_row(s, k, find(is_of_number, batch, s->first, s->end, from, s->tokenizer));
    draw(word, s, k, 3);
    const size_t digit = r->begin + dt_random_below(word, r->end - r->begin);
    const size_t end = dt_min_size(r->end + 1, s->end);
    put(s, k, find(is_of_number, batch, r->begin, end, digit, s->tokenizer), r->place);
    r->place += r->step;
    r->left--;
}

void dt_batch_distract(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer,
                       uint64_t position) {
    const size_t b = batch->problems - 1, begin = (size_t)batch->offset[b], end = batch->tokens;
    const size_t room = batch->token_capacity / batch->problem_capacity;
    const size_t left = room > end - begin ? room - (end - begin) : 0;
    const size_t count = dt_min_size(dt_distractors(config, position), left);
    if (count == 0) return;
    const free_places free = find_free(batch, begin, end, config);
    if (free.below + count_above(&free) == 0 ||
        find(is_of_number, batch, begin, end, begin, tokenizer) == end)
        return;
    move(batch->token, begin, end, count);
    move(batch->position, begin, end, count);
    move(batch->place, begin, end, count);
    move(batch->spot, begin, end, count);
    move(batch->target, begin, end, count);
    batch->tokens += count;
    batch->offset[b + 1] = (int32_t)batch->tokens;
    batch->document[batch->documents] = (int32_t)batch->tokens;
    const scene s = {batch, config, tokenizer, position, free, begin, begin + count, end + count};
    row r = {0};
    for (size_t k = 0; k < count; k++) {
        if (config->distractor_run > 0) {
            put_next(&r, &s, k);
        } else {
            put_alone(&s, k);
        }
    }
}
