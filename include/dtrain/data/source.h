/* Where texts come from. Each kind of data is one struct of functions, listed in
 * src/data/sources.c; no other code asks which one it has. */
#ifndef DTRAIN_SOURCE_H
#define DTRAIN_SOURCE_H

#include <stdio.h>

#include "dtrain/core/config.h"
#include "dtrain/core/json_read.h"
#include "dtrain/core/line.h"
#include "dtrain/core/metrics.h"
#include "dtrain/data/counters.h"
#include "dtrain/data/pack.h"
#include "dtrain/data/split.h"

typedef struct dt_source_kind dt_source_kind;

/* A source that is open. */
typedef struct {
    const dt_source_kind *kind;
    dt_config config; /* its settings say which texts there are */
    const dt_tokenizer *tokenizer;
    dt_tokenizer *own_tokenizer; /* the same where it is the source's own; NULL: it is not */
    void *data;                  /* the kind's own; NULL: it has none, or is not there */
} dt_source;

/* The longest text, in tokens, its end included; and the highest place of a digit, which is that of
 * the token behind the longest number. 0: only the data can tell, and the settings do not say yet.
 */
typedef struct {
    size_t longest, places;
} dt_text_size;

typedef struct {
    int64_t problems;
    int64_t right; /* the answer is right */
    int64_t text;  /* so is every character that leads to it */
} dt_count;

/* What a model made of one text. */
typedef struct {
    uint64_t index;      /* as the text was written for */
    const dt_note *note; /* what writing it left there */
    bool exact;          /* every token of the text was the likeliest one */
    char *produced;      /* else: what was generated after its prompt, which judging may change;
                            NULL: nothing was */
} dt_answer;

/* Counts by one or two numbers, drawn as a heat map; by reference. */
typedef struct {
    char title[48];              /* "a + b, by lengths" */
    const char *x_name, *y_name; /* "digits of b"; y_name NULL: one row, of no meaning */
    const dt_count *cell; /* (rows, columns); those without problems at the edges are left out */
    size_t rows, columns;
    size_t (*number)(size_t index); /* that a row or column stands for */
} dt_grid_panel;

/* How a tally is drawn as a grid. */
enum { DT_GRID_PANELS_MAX = 16 };
typedef struct {
    /* How many there are. */
    size_t (*panels)(dt_grid_panel panel[DT_GRID_PANELS_MAX], const int64_t *tally);
    dt_count (*total)(const int64_t *tally);
    /* Counts that tally_write wrote, as far as panels show them. DT_ERR_DATA; *found: whether there
     * are any. */
    dt_status (*read)(bool *found, int64_t *tally, const dt_json *json, const char *name);
} dt_grid_kind;

typedef enum { DT_SHOW_TSV, DT_SHOW_JSON, DT_SHOW_LINE } dt_show_as;

/*
 * One kind of data. Functions of settings alone need no data; those that take a source need one
 * that is open, but for `ask` and `reply`, which do without the data. A function may be NULL where
 * its comment says so.
 */
struct dt_source_kind {
    const char *name;  /* "arithmetic" */
    const char *texts; /* what there are many of: "problems" */
    const char
        *setting; /* which setting asks for it, "train-file"; NULL: none, it is the default */

    /* ---- settings ---- */
    bool (*wanted)(const dt_config *config);
    /* What it learns, for people: "arithmetic", or the name of a file. */
    const char *(*subject)(const dt_config *config);
    /* Its own settings, whether it is wanted or not. DT_ERR_ARG. */
    dt_status (*check)(const dt_config *config);
    /* Whether its tokens know their index in the text, whatever --positions says. */
    bool index_positions;
    /* Whether training texts are new ones without end unless train-examples says how many. */
    bool endless;
    /* What the data decides, at the start of a run, where the settings leave it open; later starts
     * are held to it. tokenizer: what texts are read with; NULL: the data's own. DT_ERR_ARG for
     * settings that do not fit the data, DT_ERR_DATA for data. NULL: nothing. */
    dt_status (*settle)(dt_config *config, const dt_tokenizer *tokenizer);
    /* Names of settings that belong to the data alone, so that a run with other data begins without
     * them, NULL behind the last; NULL: there are none. */
    const char *const *settled;
    /* Put the settings of evaluation in the place of those of training. NULL: they are the same. */
    void (*evaluate)(dt_config *config);
    dt_text_size (*size)(const dt_config *config);
    /* Whether both write the same texts to validate on. */
    bool (*same_texts)(const dt_config *x, const dt_config *y);
    /* Whether a model trained with those settings can be evaluated with these, both of this kind.
     * *part: what of all that it has learned, for people; NULL: all. DT_ERR_ARG. */
    dt_status (*evaluates)(const char **part, const dt_config *config, const dt_config *trained);

    /* Let the texts that the setting names be of one split, DT_EVERY_TEXT, and any: not those that
     * a run is held to. NULL: there are no others. */
    void (*take_all)(dt_config *config);

    /* ---- opening ---- */
    /* Collective: no; every rank opens its own. tokenizer: what its texts are read with; NULL: the
     * data's own. NULL: there is nothing to open, or to close. */
    dt_status (*open)(void **data, const dt_config *config, const dt_tokenizer *tokenizer);
    void (*close)(void **data);
    /* The vocabulary of its texts. data NULL: *tokenizer is NULL if only the data tells. */
    dt_status (*tokenizer)(dt_tokenizer **tokenizer, const dt_config *config, const void *data);
    /* Learn the vocabulary that the settings name from all of the texts; on rank 0, NULL on others.
     * Collective. NULL: there is none to learn. */
    dt_status (*learn)(dt_tokenizer **tokenizer, const dt_config *config,
                       const dt_counters *counters);
    /* How much there is to learn, for people. NULL: nothing to say. */
    void (*announce)(const dt_source *source);

    /* ---- texts ---- */
    /* How many a split has; UINT64_MAX: as many as wanted. DT_ERR_ARG: they cannot be counted. */
    dt_status (*count)(uint64_t *count, const dt_source *source, dt_split split);
    /* Text number `index` of a split, its prompt and its note: a pure function of the settings, the
     * data and these two. */
    dt_status (*write)(dt_text *text, const dt_source *source, dt_split split, uint64_t index);
    /* The training text at a position, counted over the whole run. */
    dt_status (*train)(dt_text *text, const dt_source *source, uint64_t position);
    /* How many tokens the model reads of it, one less than it has. scratch: for any use. */
    dt_status (*train_length)(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position);

    /* Which numbers of a training text have to do with each other, so that they have the same place
     * offset: of each byte, 0 or another group. Only with --place-embedding rotary. NULL: all. */
    dt_status (*groups)(uint16_t *group, const dt_source *source, const dt_text *text);

    /* What the model sees of a text so far, whose last end token may be missing: replaces *seen.
     * ended: nothing follows, and *seen is empty. Texts of the training and validation splits are
     * single parts. NULL: it sees all of it, and the first end token ends it. */
    dt_status (*window)(dt_text *seen, bool *ended, const dt_source *source, const char *text);

    /* ---- answers ---- */
    const dt_text_kind *kind; /* (kinds) which its texts are of, by dt_note.kind */
    size_t kinds;             /* at most DT_KINDS_MAX; 0: they are all alike */
    /* Whether an answer can be right though its text is not exact, so that generating it tells more
     * than the given text does. */
    bool answers;
    /* Whether texts have answers, which are right or wrong; without them, a text is only more or
     * less likely. NULL: they have. */
    bool (*has_answers)(const dt_source *source);
    /* Whether an answer is right; counts it in the tally. errors: a line of the list of errors is
     * appended if it is wrong; NULL: none is. */
    dt_status (*judge)(bool *right, int64_t *tally, dt_text *errors, const dt_source *source,
                       const dt_answer *answer);
    /* Whether what the model wrote after a prompt of `ask` is the answer with this value, which a
     * person gives: DT_ERR_DATA if it cannot be read. NULL: values are not compared. */
    dt_status (*is_value)(bool *right, const dt_source *source, const dt_text *prompt,
                          const char *produced, const char *value);
    /* Whether losses are shown in bits per byte, too, which can be compared over vocabularies. */
    bool bits_per_byte;
    size_t tally_values; /* of a tally, 0 to begin with; ranks add them up */
    /* For people; everything: over every text. And as members of a JSON object, each with a comma
     * before it; DT_ERR_IO. NULL where there is no tally. */
    void (*tally_print)(FILE *out, const int64_t *tally, bool everything);
    dt_status (*tally_write)(FILE *out, const int64_t *tally);
    const dt_grid_kind *grid;   /* NULL: the tally cannot be drawn */
    const char *errors_heading; /* of the list of errors; NULL: there is none */

    /* ---- asking, and showing texts ---- */
    /* The token that ends a text; NULL: text goes on until it is cut, or a document ends. */
    const char *end;
    const char *hint; /* "Type … ; an empty line ends" */
    /* What a person typed as a prompt for the model. DT_ERR_ARG. */
    dt_status (*ask)(dt_text *prompt, const dt_source *source, const dt_line *typed);
    /* What the model wrote after that prompt, for the person, each line ended; with its working.
     * DT_ERR_DATA if there is no answer in it. */
    dt_status (*reply)(dt_text *reply, const dt_source *source, const dt_text *prompt,
                       const dt_line *typed, const char *produced, bool working);
    const char *columns; /* of a table of texts: "op\ta\tb\tanswer\ttext" */
    /* A text as these columns, as members of a JSON object, each with a comma behind it, or for
     * people. */
    dt_status (*show)(FILE *out, const dt_source *source, const dt_text *text, dt_show_as as);
};

/* ---- the table ---- */

/* All kinds of data, NULL behind the last. */
extern const dt_source_kind *const dt_source_kinds[];

/* Which one the settings ask for. */
const dt_source_kind *dt_source_kind_of(const dt_config *config);

/* ---- of settings; as the functions above ---- */

dt_status dt_source_check(const dt_config *config);
dt_status dt_source_settle(dt_config *config, const dt_tokenizer *tokenizer);

/* Where settings want several kinds of data, let only that stay which `asked` wants: texts that a
 * person gives take the place of those that a model has learned before. */
dt_status dt_source_replace(dt_config *config, const dt_config *asked);

/* What a person asks for by itself, though the data decides it: DT_ERR_ARG. config: with `given`
 * applied. */
dt_status dt_source_check_given(const dt_config *config, const dt_overrides *given);

/* Whether a setting belongs to the data alone; and all such settings as they are at first. */
bool dt_source_settles(const dt_config *config, const dt_setting *setting);
dt_status dt_source_forget(dt_config *config);

dt_config dt_source_evaluated(const dt_config *config);
dt_text_size dt_source_size(const dt_config *config);
bool dt_source_same_texts(const dt_config *x, const dt_config *y);
dt_status dt_source_evaluates(const char **part, const dt_config *config, const dt_config *trained);

/* Whether texts are still written with this vocabulary, as far as can be told without the data. */
dt_status dt_source_same_vocabulary(bool *same, const dt_config *config,
                                    const dt_tokenizer *tokenizer);

/* Learn a vocabulary from the texts that the settings name. DT_ERR_ARG: there is none to learn. */
dt_status dt_source_learn(dt_tokenizer **tokenizer, const dt_config *config,
                          const dt_counters *counters);

/* ---- of an open source ---- */

/* tokenizer: kept by reference; NULL: the source has its own. */
dt_status dt_source_open(dt_source *source, const dt_config *config, const dt_tokenizer *tokenizer);
void dt_source_close(dt_source *source);

/* For asking alone, without the data; not to be closed. */
dt_source dt_source_for_asking(const dt_config *config, const dt_tokenizer *tokenizer);

/* The same data under other settings; by reference, not to be closed. */
dt_source dt_source_with(const dt_source *source, const dt_config *config);

/* The token at which a model's text is complete; -1: there is none. */
int32_t dt_source_end(const dt_source *source);

/* Whether its texts have answers, which are right or wrong. */
bool dt_source_has_answers(const dt_source *source);

/* How many texts a split has, at most `wanted`. */
dt_status dt_source_count(uint64_t *count, const dt_source *source, dt_split split,
                          uint64_t wanted);

/* Append training text `position`, its places moved on (dt_place_offset), behind its distractors.
 * With train-examples N there are that many, freshly permuted in each epoch; running
 * text may be cut elsewhere in each. */
dt_status dt_source_train(dt_batch *batch, const dt_source *source, uint64_t position);

/* Append text number `index` of a split. */
dt_status dt_source_sample(dt_batch *batch, const dt_source *source, dt_split split,
                           uint64_t index);

/* By how much the places of a training text's digits begin later: 0 … place-offset, a pure function
 * of (seed, position). Seven texts in eight draw evenly; the eighth begins within the first
 * sixteenth, since few offsets reach the lowest places, which each longer number has. Source:
 * McLeish et al. 2024, arXiv:2405.17399, "Abacus". */
int32_t dt_place_offset(const dt_config *config, uint64_t position);

#endif
