/* The tokenize command: learns a byte-level BPE, writes one as files, and shows texts as tokens. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "dtrain/bpe/file.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "dtrain/core/work.h"
#include "dtrain/data/encoder.h"
#include "dtrain/data/source.h"
#include "dtrain/file/replace.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/newest.h"
#include "dtrain/ui/bar.h"

typedef struct {
    const char *target; /* the checkpoint or run; NULL: none */
    const char *out;
    bool ids, lines, json, summary, decode;
} tokenize_options;

/* ---- which tokenizer ---- */

/* Of a checkpoint, or the newest of a run. */
static dt_status read_checkpoint(dt_tokenizer **tokenizer, const char *target) {
    char path[DT_PATH_MAX];
    dt_checkpoint checkpoint = {0};
    const dt_status status = dt_newest_summary(&checkpoint, path, sizeof path, target);
    if (status == DT_OK) {
        *tokenizer = checkpoint.tokenizer;
        checkpoint.tokenizer = NULL;
    }
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

static bool is_learned(const dt_config *config) {
    return strncmp(config->tokenizer, "bpe:", 4) == 0;
}

static dt_status show_progress(void *context, const char *what, uint64_t done, uint64_t all) {
    dt_bar *bar = context;
    char brackets[64], line[160];
    const double share = all > 0 ? (double)done / (double)all : 0;
    if (!dt_bar_due(bar, dt_seconds_now())) return DT_OK;
    if (!bar->terminal) {
        dt_log_info("%s: %.0f %%", what, 100 * share);
        return DT_OK;
    }
    dt_bar_brackets(brackets, 40, share);
    snprintf(line, sizeof line, "%s %s %.0f %%", what, brackets, 100 * share);
    line[dt_min_size(sizeof line - 1, dt_bar_width(bar))] = '\0';
    dt_bar_show(line);
    return DT_OK;
}

static dt_status collect(void *context, char **all, size_t *capacity, size_t *count) {
    return dt_comm_collect(context, all, capacity, count);
}

static dt_status agree(void *context, dt_status status) { return dt_comm_agree(context, status); }

static dt_status learn(dt_tokenizer **tokenizer, dt_session *s, const dt_config *config) {
    const dt_counters counters = {.rank = dt_comm_rank(s->comm),
                                  .ranks = dt_comm_size(s->comm),
                                  .collect = collect,
                                  .agree = agree,
                                  .context = s->comm};
    dt_bar bar;
    if (counters.rank == 0) {
        dt_bar_open(&bar, (dt_log_level)config->log_level, 0.1, 5);
        dt_work_listen(show_progress, &bar);
    }
    const dt_status status = dt_source_learn(tokenizer, config, &counters);
    dt_work_listen(NULL, NULL);
    if (counters.rank == 0) dt_bar_close(&bar);
    return dt_comm_agree(s->comm, status);
}

/* *tokenizer: NULL on ranks but 0. */
static dt_status find_tokenizer(dt_tokenizer **tokenizer, dt_session *s, const dt_config *config,
                                const tokenize_options *options) {
    *tokenizer = NULL;
    if (is_learned(config)) return learn(tokenizer, s, config);
    dt_status status = DT_OK;
    if (dt_comm_rank(s->comm) == 0) {
        status = options->target ? read_checkpoint(tokenizer, options->target)
                                 : dt_tokenizer_read(tokenizer, config->tokenizer);
    }
    return dt_comm_agree(s->comm, status);
}

/* ---- files ---- */

static dt_status write_file(const char *path, const dt_bpe *bpe,
                            void (*write)(FILE *, const dt_bpe *)) {
    dt_replacement file = {.file = -1};
    dt_status status;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    DT_REQUIRE(out, DT_ERR_MEMORY, "out of memory: %s", path);
    write(out, bpe);
    const bool failed = ferror(out);
    DT_REQUIRE_DONE(fclose(out) == 0 && !failed, DT_ERR_MEMORY, "out of memory: %s", path);
    DT_TRY_DONE(dt_replacement_open(&file, path));
    const int error = dt_file_write(file.file, text, size, 0);
    DT_REQUIRE_DONE(error == 0, DT_ERR_IO, "cannot write %s: %s", path, strerror(error));
    DT_TRY_DONE(dt_replacement_sync(&file));
    DT_TRY_DONE(dt_replacement_commit(&file));
    dt_log_info("written: %s", path);
done:
    dt_replacement_discard(&file);
    free(text);
    return status;
}

/* NAME.json is a tokenizer.json; anything else is a folder that gets all files. */
static dt_status write_files(const char *out, const dt_bpe *bpe) {
    static const struct {
        const char *name;
        void (*write)(FILE *, const dt_bpe *);
    } file[] = {{"tokenizer.json", dt_bpe_write},
                {"vocab.json", dt_bpe_write_vocab},
                {"merges.txt", dt_bpe_write_merges}};
    static const char json[] = ".json";
    const size_t length = strlen(out);
    if (length >= sizeof json && strcmp(out + length - sizeof json + 1, json) == 0)
        return write_file(out, bpe, dt_bpe_write);
    DT_REQUIRE(mkdir(out, 0777) == 0 || errno == EEXIST, DT_ERR_CREATE, "cannot create %s: %s", out,
               strerror(errno));
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char path[DT_PATH_MAX];
        const int written = snprintf(path, sizeof path, "%s/%s", out, file[i].name);
        DT_REQUIRE(written < (int)sizeof path, DT_ERR_CREATE, "%s: the name is too long", out);
        DT_TRY(write_file(path, bpe, file[i].write));
    }
    return DT_OK;
}

/* ---- texts ---- */

/* Text that is read piece by piece. */
typedef struct {
    FILE *file;
    const char *name;
    char *bytes;
    size_t length, capacity;
    bool ended;
} reading;

static dt_status open_text(reading *r, const char *path) {
    const bool standard = strcmp(path, "-") == 0;
    *r = (reading){.name = standard ? "standard input" : path};
    DT_REQUIRE(
        standard || !dt_is_folder(path), DT_ERR_ARG,
        "--text %s is a folder: only a vocabulary is learned from several files (--tokenizer "
        "bpe:N); show one file at a time",
        path);
    r->file = standard ? stdin : fopen(path, "rb");
    DT_REQUIRE(r->file, DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    return DT_OK;
}

static void close_text(reading *r) {
    if (r->file && r->file != stdin) fclose(r->file);
    dt_memory_free(&r->bytes);
}

/* Append up to so many bytes. */
static dt_status read_more(reading *r, size_t count) {
    DT_TRY(dt_memory_grow(&r->bytes, &r->capacity, r->length + count, 1, "a text"));
    const size_t got = fread(r->bytes + r->length, 1, count, r->file);
    r->length += got;
    r->ended = got < count;
    DT_REQUIRE(!ferror(r->file), DT_ERR_NO_INPUT, "cannot read %s: %s", r->name, strerror(errno));
    return DT_OK;
}

static void drop(reading *r, size_t count) {
    r->length -= count;
    memmove(r->bytes, r->bytes + count, r->length);
}

/* What is written for a text. */
typedef struct {
    const tokenize_options *options;
    const dt_tokenizer *tokenizer;
    dt_ids ids;
    uint64_t bytes, tokens;
} writing;

/* For people: what is no character as its bytes, "\xe6". */
static void show_token(const dt_tokenizer *tokenizer, int32_t id) {
    const dt_span token = dt_tokenizer_bytes(tokenizer, id);
    putchar('"');
    for (size_t at = 0, length; at < token.count; at += dt_max_size(length, 1)) {
        char character[DT_UTF8_SIZE] = "";
        length = token.at[at] ? dt_utf8_length(token.at + at, token.count - at) : 0;
        memcpy(character, token.at + at, length);
        dt_utf8_make_printable(character, "");
        if (length == 0 || memcmp(character, token.at + at, length) != 0) {
            for (size_t i = 0; i < dt_max_size(length, 1); i++)
                printf("\\x%02x", (unsigned)(unsigned char)token.at[at + i]);
        } else {
            fputs(character, stdout);
        }
    }
    putchar('"');
}

/* For programs: as Hugging Face spells it. */
static void print_token(const dt_tokenizer *tokenizer, int32_t id) {
    const dt_bpe *bpe = dt_tokenizer_bpe(tokenizer);
    dt_json_print_text(bpe ? dt_bpe_about(bpe).token[id] : dt_tokenizer_token(tokenizer, id));
}

static void print_ids(const writing *w, const char *separator) {
    for (size_t i = 0; i < w->ids.count; i++)
        printf("%s%" PRId32, i ? separator : "", w->ids.id[i]);
}

/* The tokens that have been collected, of a line or of the whole text. */
static void print(writing *w) {
    if (w->options->json) {
        printf("{\"ids\":[");
        print_ids(w, ",");
        printf("],\"tokens\":[");
        for (size_t i = 0; i < w->ids.count; i++) {
            if (i) putchar(',');
            print_token(w->tokenizer, w->ids.id[i]);
        }
        printf("]}\n");
    } else if (w->options->ids) {
        print_ids(w, " ");
        putchar('\n');
    } else if (!w->options->summary) {
        for (size_t i = 0; i < w->ids.count; i++) {
            printf("%" PRId32 "\t", w->ids.id[i]);
            show_token(w->tokenizer, w->ids.id[i]);
            putchar('\n');
        }
    }
    w->ids.count = 0;
}

static dt_status encode(writing *w, const char *text, size_t length) {
    size_t made;
    DT_TRY(dt_memory_grow(&w->ids.id, &w->ids.capacity, w->ids.count + length, sizeof *w->ids.id,
                          "tokens"));
    DT_TRY(
        dt_tokenizer_encode(w->ids.id + w->ids.count, length, &made, w->tokenizer, text, length));
    w->ids.count += made;
    w->tokens += made;
    w->bytes += length;
    return DT_OK;
}

static dt_status encode_lines(writing *w, reading *r) {
    enum { BLOCK = 1 << 16 };
    while (!r->ended || r->length > 0) {
        const char *end = r->length ? memchr(r->bytes, '\n', r->length) : NULL;
        if (!end && !r->ended) {
            DT_TRY(read_more(r, BLOCK));
            continue;
        }
        const size_t length = end ? (size_t)(end - r->bytes) : r->length;
        DT_TRY(encode(w, r->bytes, length));
        print(w);
        drop(r, length + (end != NULL));
    }
    return DT_OK;
}

/* So much at a time as does not depend on what follows. */
static dt_status encode_text(writing *w, reading *r) {
    enum { BLOCK = 1 << 20 };
    const dt_bpe *bpe = dt_tokenizer_bpe(w->tokenizer);
    do {
        DT_TRY(read_more(r, BLOCK));
        const size_t sure = r->ended ? r->length
                            : bpe    ? dt_bpe_settled(bpe, r->bytes, r->length, true)
                                     : 0;
        DT_TRY(encode(w, r->bytes, sure));
        drop(r, sure);
        if (w->options->summary) w->ids.count = 0;
    } while (!r->ended);
    print(w);
    return DT_OK;
}

/* Numbers to the text that they are. */
static dt_status decode(writing *w, reading *r) {
    enum { BLOCK = 1 << 20 };
    dt_text text = {0};
    dt_status status = DT_OK;
    while (!r->ended) DT_TRY_DONE(read_more(r, BLOCK));
    DT_TRY_DONE(dt_memory_grow(&r->bytes, &r->capacity, r->length + 1, 1, "a text"));
    r->bytes[r->length] = '\0';
    for (char *at = r->bytes, *end;; at = end) {
        while (isspace((unsigned char)*at)) at++;
        if (!*at) break;
        const long id = strtol(at, &end, 10);
        DT_REQUIRE_DONE(end != at && (!*end || isspace((unsigned char)*end)) && id >= 0 &&
                            id <= INT32_MAX,
                        DT_ERR_DATA, "%s: byte %zu begins no id of a token", r->name,
                        (size_t)(at - r->bytes) + 1);
        const int32_t number = (int32_t)id;
        DT_TRY_DONE(dt_tokenizer_decode(&text, w->tokenizer, &number, 1));
    }
    fwrite(text.bytes, 1, text.length, stdout);
done:
    dt_text_destroy(&text);
    return status;
}

static void print_summary(const writing *w, double seconds) {
    const double each = w->tokens ? (double)w->bytes / (double)w->tokens : 0;
    if (w->options->json) {
        printf("{\"bytes\":%" PRIu64 ",\"tokens\":%" PRIu64
               ",\"vocabulary\":%zu,\"seconds\":%.6f}\n",
               w->bytes, w->tokens, dt_tokenizer_size(w->tokenizer), seconds);
    } else {
        printf("%" PRIu64 " bytes are %" PRIu64 " tokens of %zu, %.3f bytes each; %.1f MB/s\n",
               w->bytes, w->tokens, dt_tokenizer_size(w->tokenizer), each,
               (double)w->bytes / 1e6 / seconds);
    }
}

static dt_status show(const dt_tokenizer *tokenizer, const dt_config *config,
                      const tokenize_options *options) {
    writing w = {.options = options, .tokenizer = tokenizer};
    tokenize_options quiet = *options;
    reading r;
    const double start = dt_seconds_now();
    if (options->summary) {
        quiet.json = quiet.ids = false;
        w.options = &quiet;
    }
    DT_TRY(open_text(&r, config->text));
    const dt_status status = options->decode  ? decode(&w, &r)
                             : options->lines ? encode_lines(&w, &r)
                                              : encode_text(&w, &r);
    close_text(&r);
    w.options = options;
    if (status == DT_OK && options->summary) print_summary(&w, dt_seconds_now() - start);
    dt_ids_destroy(&w.ids);
    return status;
}

/* ---- the command ---- */

static dt_status use(const dt_tokenizer *tokenizer, const dt_config *config,
                     const tokenize_options *options) {
    const dt_bpe *bpe = dt_tokenizer_bpe(tokenizer);
    DT_REQUIRE(!options->out || bpe, DT_ERR_ARG,
               "--out %s: the vocabulary of %s has no merges, and other programs read byte-level "
               "BPE; leave it out",
               options->out, options->target);
    if (options->out) DT_TRY(write_files(options->out, bpe));
    return is_learned(config) || !config->text[0] ? DT_OK : show(tokenizer, config, options);
}

static dt_status check_given(const dt_config *config, const dt_overrides *given,
                             const tokenize_options *options) {
    const bool named = dt_overrides_has(given, "tokenizer");
    DT_REQUIRE(
        options->target || named, DT_ERR_ARG,
        "which tokenizer? Give a run, or --tokenizer with a file or folder, or bpe:N to learn "
        "one of N tokens");
    DT_REQUIRE(!options->target || !named, DT_ERR_ARG,
               "%s has a tokenizer, and --tokenizer %s is another one; leave one out",
               options->target, config->tokenizer);
    DT_REQUIRE(strcmp(config->tokenizer, "bytes") != 0 &&
                   (!named || strcmp(config->tokenizer, "chars") != 0),
               DT_ERR_ARG,
               "--tokenizer %s: there is nothing to learn; tokenize is for byte-level BPE, and "
               "dtrain data --tokens shows others",
               config->tokenizer);
    DT_REQUIRE(!is_learned(config) || options->out, DT_ERR_ARG,
               "--tokenizer %s: say with --out where to write it: a file NAME.json, or a folder",
               config->tokenizer);
    DT_REQUIRE(config->text[0] || options->out, DT_ERR_ARG,
               "say with --text what to read, - for standard input, or with --out where to write "
               "the tokenizer");
    return DT_OK;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const tokenize_options *options = own;
    dt_config config;
    dt_tokenizer *tokenizer = NULL;
    dt_status status;
    dt_config_defaults(&config);
    config.out[0] = '\0'; /* nothing is kept */
    DT_TRY(dt_overrides_apply(&config, given));
    DT_TRY(dt_config_check(&config));
    DT_TRY(dt_source_check(&config));
    DT_TRY(check_given(&config, given, options));
    DT_TRY_DONE(find_tokenizer(&tokenizer, s, &config, options));
    if (tokenizer) status = use(tokenizer, &config, options);
    status = dt_comm_agree(s->comm, status);
done:
    dt_tokenizer_destroy(&tokenizer);
    return status;
}

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(tokenize_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_PATH, offsetof(tokenize_options, out), "out", "FILE|DIR",
     "write the tokenizer as NAME.json, or a folder with tokenizer.json, vocab.json and "
     "merges.txt"},
    {OPTION_FLAG, offsetof(tokenize_options, ids), "ids", NULL, "print ids alone, on one line"},
    {OPTION_FLAG, offsetof(tokenize_options, json), "json", NULL, "print JSON"},
    {OPTION_FLAG, offsetof(tokenize_options, lines), "lines", NULL,
     "each line is a text of its own, without its end"},
    {OPTION_FLAG, offsetof(tokenize_options, summary), "summary", NULL,
     "print how many tokens it has, and how fast that was found"},
    {OPTION_FLAG, offsetof(tokenize_options, decode), "decode", NULL,
     "--text has ids; print the text that they are"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "text", "tokenizer"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

const command TOKENIZE = {
    .name = "tokenize",
    .usage = "--text PATH --tokenizer bpe:N --out FILE|DIR\n--text PATH --tokenizer FILE|DIR\n"
             "CHECKPOINT|RUN --text PATH",
    .help = "Learn a byte-level BPE from a text, on all ranks under mpirun; or show a text as the "
            "tokens of one, with their ids."
            "\vFiles are Hugging Face's, and so is what they say. --text - reads standard input. "
            "What is shown is one file.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(tokenize_options),
    .needs_ranks = command_needs_ranks,
    .run = run,
};
