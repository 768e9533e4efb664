/* Settings as values: from text, to text, and whether they fit together. */
#include "dtrain/core/config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/path.h"

static void *field_at(dt_config *config, const dt_setting *setting) {
    return (char *)config + setting->offset;
}

static const void *const_field_at(const dt_config *config, const dt_setting *setting) {
    return (const char *)config + setting->offset;
}

/* The shortest text that strtod reads back to the same bits. */
static void real_text(char *text, size_t size, double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

static dt_status raise_range(const char *where, const char *text, double min, double max) {
    char least[32], most[32];
    real_text(least, sizeof least, min);
    real_text(most, sizeof most, max);
    DT_RAISE(DT_ERR_ARG, "%s %s: must lie between %s and %s", where, text, least, most);
}

/* ---- from text ---- */

static dt_status read_int(int64_t *value, const dt_setting *setting, const char *text,
                          const char *where) {
    char *end;
    if (setting->zero && strcmp(text, setting->zero) == 0) {
        *value = 0;
        return DT_OK;
    }
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    DT_REQUIRE(*text && !isspace((unsigned char)*text) && !*end, DT_ERR_ARG,
               "%s: \"%s\" is not a whole number", where, text);
    if (errno == ERANGE || (double)number < setting->min || (double)number > setting->max) {
        return raise_range(where, text, setting->min, setting->max);
    }
    *value = number;
    return DT_OK;
}

static dt_status read_real(double *value, const dt_setting *setting, const char *text,
                           const char *where) {
    char *end;
    const double number = strtod(text, &end);
    /* strtod would take hexadecimal numbers, "nan" and "inf" too. */
    DT_REQUIRE(*text && !text[strspn(text, "+-.0123456789eE")] && !*end, DT_ERR_ARG,
               "%s: \"%s\" is not a number", where, text);
    if (!isfinite(number) || number < setting->min || number > setting->max) {
        return raise_range(where, text, setting->min, setting->max);
    }
    *value = number;
    return DT_OK;
}

/* Whether an ini file gives a text back as it was put in. */
static bool survives_ini(const char *text) {
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)text[i])) return false;
        if (text[i] == ';' && (i == 0 || text[i - 1] == ' ')) return false;
    }
    return length == 0 || (text[0] != ' ' && text[length - 1] != ' ');
}

static dt_status check_line(const char *text, const char *where) {
    DT_REQUIRE(survives_ini(text), DT_ERR_ARG,
               "%s: \"%s\" cannot be kept in an ini file; leave out control characters, spaces at "
               "the ends and ';' after a space",
               where, text);
    return DT_OK;
}

static dt_status read_text(char *value, const dt_setting *setting, const char *text,
                           const char *where) {
    const size_t length = strlen(text);
    DT_REQUIRE(length > 0 || setting->min == 0, DT_ERR_ARG, "%s: must not be empty", where);
    DT_REQUIRE(length <= (size_t)setting->max, DT_ERR_ARG,
               "%s: \"%s\" is %zu bytes long; %g are the most", where, text, length, setting->max);
    DT_TRY(check_line(text, where));
    memset(value, 0, (size_t)setting->max + 1); /* configurations are compared as bytes */
    memcpy(value, text, length + 1);
    return DT_OK;
}

static dt_status read_path(char *value, const dt_setting *setting, const char *text,
                           const char *where) {
    char path[DT_PATH_MAX];
    DT_TRY(dt_path_expand(path, sizeof path, text, where));
    return read_text(value, setting, path, where);
}

/* Each stands on a line of its own in an ini file. */
static dt_status read_paths(char *value, const dt_setting *setting, const char *text,
                            const char *where) {
    char list[DT_PATH_MAX] = "";
    size_t used = 0;
    for (const char *at = text; *text; at += strcspn(at, ":") + 1) {
        char one[DT_PATH_MAX], path[DT_PATH_MAX];
        const size_t length = strcspn(at, ":");
        snprintf(one, sizeof one, "%.*s", (int)length, at);
        DT_TRY(dt_path_expand(path, sizeof path, one, where));
        DT_REQUIRE(*path && strlen(path) <= DT_PATHS_EACH, DT_ERR_ARG,
                   "%s: \"%s\": each name has 1 to %d bytes, and \":\" stands between names", where,
                   text, DT_PATHS_EACH);
        DT_TRY(check_line(path, where));
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ":" : "", path);
        DT_REQUIRE(used < sizeof list, DT_ERR_ARG,
                   "%s: the names have more than %zu bytes in all; put the files into a folder",
                   where, sizeof list - 1);
        if (!at[length]) break;
    }
    return read_text(value, setting, list, where);
}

static dt_status read_choice(int64_t *value, const dt_setting *setting, const char *text,
                             const char *where) {
    const size_t length = strlen(text);
    const char *choice = setting->choices;
    for (int64_t i = 0; *choice; i++) {
        const size_t choice_length = strcspn(choice, "|");
        if (choice_length == length && memcmp(choice, text, length) == 0) {
            *value = i;
            return DT_OK;
        }
        choice += choice_length + (choice[choice_length] == '|');
    }
    DT_RAISE(DT_ERR_ARG, "%s: \"%s\" is none of %s", where, text, setting->choices);
}

dt_status dt_duration_parse(double *seconds, const char *text, const char *where) {
    static const struct {
        char name;
        double seconds;
    } unit[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    enum { UNITS = sizeof unit / sizeof *unit };
    const double least = 0.001, most = 1e9;
    double sum = 0;
    size_t next = 0; /* units come in this order, each at most once */
    const char *rest = text;
    do {
        const size_t digits = strspn(rest, "0123456789.");
        char *end;
        const double number = strtod(rest, &end);
        size_t u = next;
        while (u < UNITS && unit[u].name != rest[digits]) u++;
        DT_REQUIRE(digits > 0 && end == rest + digits && u < UNITS, DT_ERR_ARG,
                   "%s: \"%s\" is not a time; write it like 90s, 5m, 23h50m or 1d", where, text);
        sum += number * unit[u].seconds;
        next = u + 1;
        rest += digits + 1;
    } while (*rest);
    DT_REQUIRE(sum >= least && sum <= most, DT_ERR_ARG,
               "%s %s: must lie between %g and %.0f seconds", where, text, least, most);
    *seconds = sum;
    return DT_OK;
}

static const char NEVER[] = "never";

static dt_status read_cadence(dt_cadence *value, const dt_setting *setting, const char *text,
                              const char *where) {
    const size_t length = strlen(text), digits = strspn(text, "0123456789");
    dt_cadence cadence = {0};
    if (strcmp(text, NEVER) == 0) {
        cadence.seconds = DT_CADENCE_NEVER;
    } else if (digits > 0 && strcmp(text + digits, "e") == 0) {
        char number[32];
        snprintf(number, sizeof number, "%.*s", (int)digits, text);
        DT_TRY(read_int(&cadence.epochs, setting, number, where));
    } else if (length > 0 && strchr("dhms", text[length - 1])) {
        DT_TRY(dt_duration_parse(&cadence.seconds, text, where));
    } else {
        DT_REQUIRE(length > 0 && !text[strspn(text, "+-0123456789")], DT_ERR_ARG,
                   "%s: \"%s\" is neither a number of steps, nor a time such as 10m, nor epochs "
                   "such as 2e, nor never",
                   where, text);
        DT_TRY(read_int(&cadence.steps, setting, text, where));
    }
    *value = cadence;
    return DT_OK;
}

static dt_status read_duration(double *value, const char *text, const char *where) {
    if (strcmp(text, "0") == 0) {
        *value = 0;
        return DT_OK;
    }
    return dt_duration_parse(value, text, where);
}

dt_status dt_config_set(dt_config *config, const dt_setting *setting, const char *text,
                        const char *where) {
    void *field = field_at(config, setting);
    switch (setting->type) {
    case DT_SETTING_INT: return read_int(field, setting, text, where);
    case DT_SETTING_REAL: return read_real(field, setting, text, where);
    case DT_SETTING_TEXT: return read_text(field, setting, text, where);
    case DT_SETTING_PATH: return read_path(field, setting, text, where);
    case DT_SETTING_PATHS: return read_paths(field, setting, text, where);
    case DT_SETTING_CHOICE: return read_choice(field, setting, text, where);
    case DT_SETTING_CADENCE: return read_cadence(field, setting, text, where);
    case DT_SETTING_DURATION: return read_duration(field, text, where);
    }
    DT_RAISE(DT_ERR_INTERNAL, "setting %s has no type", setting->name);
}

void dt_config_defaults(dt_config *config) {
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        /* Cannot fail: a test sets every setting to its own default. */
        (void)dt_config_set(config, setting, setting->initial, setting->name);
    }
}

void dt_config_absent(dt_config *config) {
    dt_config_defaults(config);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        /* Cannot fail, as above. */
        if (setting->absent) (void)dt_config_set(config, setting, setting->absent, setting->name);
    }
}

bool dt_config_keeps(const dt_config *config, const dt_setting *setting) {
    if (setting->scope == DT_SETTING_LOCAL) return false;
    if (!setting->absent) return true;
    char value[DT_PATH_MAX];
    dt_config_text(value, sizeof value, config, setting);
    return strcmp(value, setting->absent) != 0;
}

/* ---- to text ---- */

static void choice_text(char *text, size_t size, const char *choices, int64_t value) {
    const char *choice = choices;
    for (int64_t i = 0; i < value && *choice; i++) {
        choice += strcspn(choice, "|");
        choice += *choice == '|';
    }
    snprintf(text, size, "%.*s", (int)strcspn(choice, "|"), choice);
}

static void cadence_text(char *text, size_t size, dt_cadence cadence) {
    static const struct {
        const char *name;
        double seconds;
    } unit[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
    if (cadence.epochs > 0) {
        snprintf(text, size, "%llde", (long long)cadence.epochs);
        return;
    }
    if (cadence.seconds <= 0) {
        snprintf(text, size, "%lld", (long long)cadence.steps);
        return;
    }
    /* Whole numbers of a unit are exact; anything else is in seconds. */
    size_t u = 0;
    while (unit[u].seconds > 1 && fmod(cadence.seconds, unit[u].seconds) != 0) u++;
    char number[32];
    real_text(number, sizeof number, cadence.seconds / unit[u].seconds);
    snprintf(text, size, "%s%s", number, unit[u].name);
}

void dt_config_text(char *text, size_t size, const dt_config *config, const dt_setting *setting) {
    const void *field = const_field_at(config, setting);
    switch (setting->type) {
    case DT_SETTING_INT:
        if (setting->zero && *(const int64_t *)field == 0) {
            snprintf(text, size, "%s", setting->zero);
        } else {
            snprintf(text, size, "%lld", (long long)*(const int64_t *)field);
        }
        break;
    case DT_SETTING_REAL: real_text(text, size, *(const double *)field); break;
    case DT_SETTING_TEXT:
    case DT_SETTING_PATH:
    case DT_SETTING_PATHS: snprintf(text, size, "%s", (const char *)field); break;
    case DT_SETTING_CHOICE:
        choice_text(text, size, setting->choices, *(const int64_t *)field);
        break;
    case DT_SETTING_CADENCE: cadence_text(text, size, *(const dt_cadence *)field); break;
    case DT_SETTING_DURATION:
        cadence_text(text, size, (dt_cadence){.seconds = *(const double *)field});
        break;
    }
}

void dt_config_shown(char *text, size_t size, const dt_config *config, const dt_setting *setting) {
    dt_config_text(text, size, config, setting);
    if (setting->type != DT_SETTING_CADENCE) return;
    const dt_cadence *cadence = const_field_at(config, setting);
    if (cadence->seconds >= DT_CADENCE_NEVER) snprintf(text, size, "%s", NEVER);
}

double dt_cadence_most_seconds(const dt_cadence *cadence) {
    return cadence->seconds > 0 ? cadence->seconds : DT_CADENCE_SECONDS;
}

/* ---- all together ---- */

/* No price has a meaning without its currency, no unit without its price. */
static dt_status check_costs(const dt_config *config) {
    const bool priced = config->price_kwh > 0 || config->price_hour > 0 || config->price_unit > 0;
    DT_REQUIRE(!priced || config->currency[0], DT_ERR_ARG,
               "prices need their currency; add --currency, such as --currency JPY");
    DT_REQUIRE((config->units_per_hour > 0) == (config->price_unit > 0), DT_ERR_ARG,
               "--units-per-hour %g and --price-unit %g: one says nothing without the other; give "
               "both or none",
               config->units_per_hour, config->price_unit);
    DT_REQUIRE(config->price_hour == 0 || config->units_per_hour == 0, DT_ERR_ARG,
               "--price-hour %g and --units-per-hour %g: a node is paid by the hour or by units; "
               "leave one out",
               config->price_hour, config->units_per_hour);
    return DT_OK;
}

static const char *const TARGET[DT_TARGETS] = {"attn_qkv", "attn_out", "mlp_in", "mlp_out"};

const char *dt_target_name(dt_target target) { return TARGET[target]; }

/* The target that `name` (length) begins with; DT_TARGETS: none. */
static size_t find_target(const char *name, size_t length) {
    size_t i = 0;
    while (i < DT_TARGETS && (strlen(TARGET[i]) != length || memcmp(TARGET[i], name, length) != 0))
        i++;
    return i;
}

bool dt_config_adapts(const dt_config *config, dt_target target) {
    if (config->lora_rank == 0) return false;
    if (strcmp(config->lora_targets, "all") == 0) return true;
    for (const char *at = config->lora_targets; *at; at += *at == ',') {
        const size_t length = strcspn(at, ",");
        if (find_target(at, length) == (size_t)target) return true;
        at += length;
    }
    return false;
}

static dt_status check_adapter(const dt_config *config) {
    DT_REQUIRE(config->lora_rank > 0 || config->lora_dropout == 0, DT_ERR_ARG,
               "--lora-dropout %g says nothing without --lora-rank; give both or none",
               config->lora_dropout);
    DT_REQUIRE(config->lora_rank > 0 || config->base_quant == DT_BASE_FLOAT32, DT_ERR_ARG,
               "--base-quant is for the frozen weights beside adapters; give --lora-rank too");
    if (strcmp(config->lora_targets, "all") == 0) return DT_OK;
    for (const char *at = config->lora_targets;;) {
        const size_t length = strcspn(at, ",");
        DT_REQUIRE(
            find_target(at, length) < DT_TARGETS, DT_ERR_ARG,
            "--lora-targets %s: \"%.*s\" is none of attn_qkv, attn_out, mlp_in, mlp_out; give "
            "some of them with , between, or all",
            config->lora_targets, (int)length, at);
        if (!at[length]) return DT_OK;
        at += length + 1;
    }
}

dt_status dt_config_check(const dt_config *config) {
    DT_TRY(check_adapter(config));
    const long long width = config->width, heads = config->heads;
    DT_REQUIRE(width % heads == 0, DT_ERR_ARG,
               "--width %lld is not a multiple of --heads %lld; the next one is --width %lld",
               width, heads, (width / heads + 1) * heads);

    const long long shards = config->shards, batch = config->batch;
    long long power = 1;
    while (power * 2 <= shards) power *= 2;
    DT_REQUIRE(power == shards, DT_ERR_ARG,
               "--shards %lld is not a power of two; the nearest are %lld and %lld", shards, power,
               power * 2);
    DT_REQUIRE(batch >= shards, DT_ERR_ARG,
               "--batch %lld is less than --shards %lld: each shard needs a problem; raise --batch "
               "or lower --shards",
               batch, shards);
    DT_REQUIRE(config->positions != DT_POSITIONS_INDEX ||
                   (config->places == 0 && config->place_offset == 0),
               DT_ERR_ARG,
               "--places %lld and --place-offset %lld: with --positions index, as for running "
               "text, digits have no places; leave them out",
               (long long)config->places, (long long)config->place_offset);
    DT_REQUIRE(config->positions != DT_POSITIONS_INDEX ||
                   config->place_embedding != DT_PLACES_ROTARY,
               DT_ERR_ARG,
               "--place-embedding rotary: with --positions index, as for running text, digits have "
               "no places to turn by; leave it out");
    DT_REQUIRE(config->positions != DT_POSITIONS_INDEX || config->place_window == 0, DT_ERR_ARG,
               "--place-window %lld: with --positions index, as for running text, digits have no "
               "places; leave it out",
               (long long)config->place_window);
    return check_costs(config);
}

void dt_config_evaluate_digits(dt_config *config) {
    if (config->eval_least_digits > 0) config->least_digits = config->eval_least_digits;
    if (config->eval_digits > 0) config->digits = config->eval_digits;
    if (config->eval_dividend_digits > 0) config->dividend_digits = config->eval_dividend_digits;
    if (config->eval_divisor_digits > 0) config->divisor_digits = config->eval_divisor_digits;
}

dt_status dt_config_evaluate_ops(const char **part, const dt_config *config,
                                 const dt_config *trained) {
    for (const char *op = config->ops; *op; op++) {
        DT_REQUIRE(strchr(trained->ops, *op), DT_ERR_ARG,
                   "--ops: the model was trained on %s only, not on '%c'; leave it out",
                   trained->ops, *op);
    }
    *part = strcmp(config->ops, trained->ops) == 0 ? NULL : config->ops;
    return DT_OK;
}

const char *dt_metric_name(const dt_config *config) {
    switch ((dt_metric_kind)config->metric) {
    case DT_METRIC_TOKEN_ACCURACY: return "token accuracy";
    case DT_METRIC_LOSS: return "loss";
    case DT_METRIC_EXACT_MATCH: break;
    }
    return "exact match";
}
