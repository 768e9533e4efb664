/* Settings as text: a form that keeps every bit, ini files, and what a checkpoint may lack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "settings.h"

/* Every setting has a value other than its default. */
static void fill_unusual(dt_config *config) {
    static const char *const value[][2] = {
        {"out", "runs/x y=z"},
        {"seed", "9007199254740991"},
        {"steps", "4294967295"},
        {"backend", "auto"},
        {"precision", "bfloat16"},
        {"tensorboard", "on"},
        {"log-level", "error"},
        {"time-limit", "90s"},
        {"stall-timeout", "0"},
        {"batch", "512"},
        {"shards", "16"},
        {"micro-batch", "7"},
        {"ranks-per-node", "2"},
        {"transport", "bfloat16"},
        {"exchange", "tree"},
        {"updates", "job"},
        {"ops", "+*"},
        {"digits", "9"},
        {"dividend-digits", "18"},
        {"divisor-digits", "3"},
        {"format", "reverse"},
        {"operations", "7"},
        {"depth", "4"},
        {"decimals", "2"},
        {"train-examples", "1000"},
        {"train-file", "texts/a b.txt"},
        {"train-digest", "12-0123456789abcdef0123456789abcdef"},
        {"text", "texts/a b.txt:other"},
        {"validation-text", "late.txt"},
        {"validation-share", "0.1"},
        {"test-share", "0"},
        {"document-separator", "=== end"},
        {"tokenizer", "bytes"},
        {"layers", "2"},
        {"width", "96"},
        {"heads", "3"},
        {"context", "100"},
        {"places", "12"},
        {"place-offset", "20"},
        {"place-embedding", "rotary"},
        {"place-window", "3"},
        {"working", "near"},
        {"positions", "none"},
        {"dropout", "0.1"},
        {"optimizer", "adamw"},
        {"lr", "0.00030000000000000003"},
        {"warmup", "0"},
        {"schedule", "constant"},
        {"min-lr", "0.3333333333333333"},
        {"beta1", "0.95"},
        {"beta2", "0.999"},
        {"momentum", "0.8"},
        {"epsilon", "1e-30"},
        {"weight-decay", "0.1"},
        {"clip", "0"},
        {"average", "0.125"},
        {"eval-every", "0"},
        {"eval-examples", "1"},
        {"eval-digits", "7"},
        {"eval-least-digits", "5"},
        {"least-digits", "2"},
        {"marks", "start"},
        {"distractors", "32"},
        {"distractor-run", "12"},
        {"windows", "fixed"},
        {"numbers", "natural"},
        {"sharpness", "1.5"},
        {"lora-rank", "8"},
        {"lora-alpha", "2.5"},
        {"lora-targets", "mlp_out,attn_qkv"},
        {"lora-dropout", "0.125"},
        {"base-quant", "nf4"},
        {"base", "../base/best.h5"},
        {"base-digest", "0123456789abcdef0123456789abcdef"},
        {"sharpen", "validation"},
        {"eval-dividend-digits", "8"},
        {"eval-divisor-digits", "1"},
        {"metric", "loss"},
        {"patience", "5"},
        {"min-delta", "0.001"},
        {"sample-every", "9"},
        {"checkpoint-every", "3e"},
        {"keep", "0"},
        {"watts", "12.5"},
        {"price-kwh", "31"},
        {"currency", "JPY"},
        {"co2", "423"},
        {"price-hour", "100"},
        {"units-per-hour", "1.96"},
        {"price-unit", "11.534"},
    };
    dt_config_defaults(config);
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        assert_int_equal(set(config, value[i][0], value[i][1]), DT_OK);
    }
}

/* A setting missing in the list above would not be tested. */
static void unusual_is_unusual(void **state) {
    (void)state;
    dt_config config;
    fill_unusual(&config);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (setting->type == DT_SETTING_CHOICE && !strchr(setting->choices, '|')) continue;
        char text[DT_PATH_MAX];
        dt_config_text(text, sizeof text, &config, setting);
        if (strcmp(text, setting->initial) == 0) fail_msg("%s has its default", setting->name);
    }
}

/* A setting that a checkpoint may lack keeps its value, whether it is written or not. */
static void absent_settings_come_back(void **state) {
    (void)state;
    dt_config standard, absent;
    dt_config_defaults(&standard);
    dt_config_absent(&absent);
    size_t may_lack = 0;
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        char value[DT_PATH_MAX];
        dt_config_text(value, sizeof value, &absent, setting);
        if (setting->absent) assert_string_equal(value, setting->absent);
        assert_int_equal(dt_config_keeps(&absent, setting),
                         !setting->absent && setting->scope != DT_SETTING_LOCAL);
        may_lack += setting->absent != NULL;
    }
    assert_true(may_lack > 0);
    dt_config *each[] = {&standard, &absent};
    for (size_t i = 0; i < 2; i++) {
        char *ini = NULL, *again = NULL;
        assert_int_equal(dt_config_format(&ini, each[i], true), DT_OK);
        dt_config read;
        dt_config_absent(&read);
        assert_int_equal(dt_config_parse(&read, ini, "line"), DT_OK);
        assert_int_equal(dt_config_format(&again, &read, true), DT_OK);
        assert_string_equal(ini, again);
        assert_true(read.average == each[i]->average);
        dt_memory_free(&ini);
        dt_memory_free(&again);
    }
}

static void assert_comes_back(const dt_config *config) {
    dt_config back;
    char *ini;
    assert_int_equal(dt_config_format(&ini, config, false), DT_OK);
    dt_config_defaults(&back);
    assert_int_equal(dt_config_parse(&back, ini, "memory"), DT_OK);
    dt_memory_free(&ini);
    assert_memory_equal(&back, config, sizeof back);
}

static void text_gives_back_the_same_bits(void **state) {
    (void)state;
    dt_config config;
    fill_unusual(&config);
    assert_comes_back(&config);
    static const double real[] = {
        0.1, 1.0 / 3, 2e-3, 4.9406564584124654e-12, 9.9999999999999982, 0x1.fffffffffffffp-10};
    static const double seconds[] = {600,   86400,    90, 0.1, 1e9, 1234.5678901234567,
                                     0.001, 100.0 / 3};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        config.lr = real[i % (sizeof real / sizeof *real)];
        config.checkpoint_every = (dt_cadence){.seconds = seconds[i]};
        config.stall_timeout = seconds[i];
        assert_comes_back(&config);
    }
    char text[DT_PATH_MAX];
    dt_config_text(text, sizeof text, &config, dt_setting_find("schedule"));
    assert_string_equal(text, "constant");
    config.checkpoint_every.seconds = 5400;
    dt_config_text(text, sizeof text, &config, dt_setting_find("checkpoint-every"));
    assert_string_equal(text, "90m");
    config.lr = 0.05;
    dt_config_text(text, sizeof text, &config, dt_setting_find("lr"));
    assert_string_equal(text, "0.05");
}

/* By default a run writes a checkpoint at least every five minutes. */
static void a_cadence_has_a_longest_time(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds;
        const char *shown, *kept; /* as shown to people, and as written to files */
    } cases[] = {{"200", 300, "200", "200"},
                 {"0", 300, "0", "0"},
                 {"2e", 300, "2e", "2e"},
                 {"2s", 2, "2s", "2s"},
                 {"1h", 3600, "1h", "1h"},
                 {"never", 1e9, "never", "1000000000s"},
                 {"1000000000s", 1e9, "never", "1000000000s"}};
    const dt_setting *setting = dt_setting_find("checkpoint-every");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dt_config config;
        char text[64];
        dt_config_defaults(&config);
        assert_int_equal(set(&config, "checkpoint-every", cases[i].text), DT_OK);
        assert_true(dt_cadence_most_seconds(&config.checkpoint_every) == cases[i].seconds);
        dt_config_shown(text, sizeof text, &config, setting);
        assert_string_equal(text, cases[i].shown);
        dt_config_text(text, sizeof text, &config, setting);
        assert_string_equal(text, cases[i].kept);
        assert_comes_back(&config);
    }
}

static void the_longest_folder_fits_a_line(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    char path[400] = {0};
    memset(path, 'x', 180);
    assert_int_equal(set(&config, "out", path), DT_OK);
    assert_comes_back(&config);
}

static void what_is_kept_leaves_out_local_settings(void **state) {
    (void)state;
    dt_config config, back;
    fill_unusual(&config);
    char *ini;
    assert_int_equal(dt_config_format(&ini, &config, true), DT_OK);
    assert_null(strstr(ini, "\nout ="));
    assert_null(strstr(ini, "\nlog-level ="));
    assert_null(strstr(ini, "\nbackend ="));
    assert_null(strstr(ini, "\nranks-per-node ="));
    assert_non_null(strstr(ini, "[run]\nseed = 9007199254740991\n"));
    dt_config_defaults(&back);
    assert_int_equal(dt_config_parse(&back, ini, "memory"), DT_OK);
    dt_memory_free(&ini);
    assert_int_equal(back.width, 96);
    assert_string_equal(back.out, "runs/default");
}

static void good_ini_is_read(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    const int64_t layers = config.layers;
    assert_int_equal(dt_config_parse(&config,
                                     "\xEF\xBB\xBF# a comment\r\n\r\n"
                                     "; another\n[model]\r\nwidth=64\r\n  \nheads : 2 ; why\n"
                                     "[data]\nops = *\n[empty]",
                                     "my.ini"),
                     DT_OK);
    assert_int_equal(config.width, 64);
    assert_int_equal(config.heads, 2);
    assert_string_equal(config.ops, "*");
    assert_int_equal(config.layers, layers);
    assert_int_equal(dt_config_parse(&config, "", "my.ini"), DT_OK);
}

static void bad_ini_is_named_and_changes_nothing(void **state) {
    (void)state;
    static const struct {
        const char *ini, *error;
    } bad[] = {
        {"[model]\n\nwdith = 5\n",
         "my.ini:3: there is no setting \"wdith\" (did you mean \"width\"?)"},
        {"[model]\nxyzzy = 5\n", "my.ini:2: there is no setting \"xyzzy\""},
        {"[model]\nwidth = 12x\n", "my.ini:2: width: \"12x\" is not a whole number"},
        {"[model]\nwidth = 64\nwidth 5\nlayers = x\n",
         "my.ini:3: neither \"[section]\" nor \"setting = value\" nor a comment (# or ;)"},
        {"[model\nwidth = 5\n",
         "my.ini:1: neither \"[section]\" nor \"setting = value\" nor a comment (# or ;)"},
        {"width = 5\n",
         "my.ini:1: \"width\" belongs to section [model], not before the first section"},
        {"[data]\nwidth = 5\n", "my.ini:2: \"width\" belongs to section [model], not [data]"},
        {"[model]\nwidth = 64\nwidth = 128\n",
         "my.ini:3: \"width\" is set a second time; line 2 sets it too"},
        {"[model]\nwidth = 64\n  layers = 2\n",
         "my.ini:3: a line after a setting must not begin with a space"},
        {"[model]\nwidth =\n", "my.ini:2: width: \"\" is not a whole number"},
        {"[optimizer]\nlr = 5000\n[model]\nwidth = x\n",
         "my.ini:2: lr 5000: must lie between 1e-12 and 10"},
        {"garbage\n[model]\nwidth = 64\n",
         "my.ini:1: neither \"[section]\" nor \"setting = value\" nor a comment (# or ;)"},
    };
    dt_config before, config;
    dt_config_defaults(&before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config = before;
        assert_error(dt_config_parse(&config, bad[i].ini, "my.ini"), DT_ERR_ARG, bad[i].error);
        assert_memory_equal(&config, &before, sizeof config);
    }
}

static void long_lines_are_an_error_not_cut(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    char ini[600] = "[model]\nwidth = 64 ;";
    memset(ini + strlen(ini), 'x', 500);
    assert_int_equal(dt_config_parse(&config, ini, "my.ini"), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "my.ini:2: the line is 512 bytes long"));
    assert_int_equal(config.width, 128);
}

static void files_are_read(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    assert_error(dt_config_read(&config, "/nonexistent/my.ini"), DT_ERR_NO_INPUT,
                 "cannot read /nonexistent/my.ini: No such file or directory");
    assert_error(dt_config_read(&config, "/tmp"), DT_ERR_NO_INPUT,
                 "cannot read /tmp: Is a directory");
    assert_int_equal(dt_config_read(&config, "/dev/zero"), DT_ERR_ARG);

    char path[] = "/tmp/dtrain-config-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("[model]\nwidth = 32\n", file);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(dt_config_read(&config, path), DT_OK);
    assert_int_equal(config.width, 32);
    fwrite("\0", 1, 1, file);
    fclose(file);
    assert_int_equal(dt_config_read(&config, path), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "it is not text"));
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unusual_is_unusual),
        cmocka_unit_test(absent_settings_come_back),
        cmocka_unit_test(text_gives_back_the_same_bits),
        cmocka_unit_test(a_cadence_has_a_longest_time),
        cmocka_unit_test(the_longest_folder_fits_a_line),
        cmocka_unit_test(what_is_kept_leaves_out_local_settings),
        cmocka_unit_test(good_ini_is_read),
        cmocka_unit_test(bad_ini_is_named_and_changes_nothing),
        cmocka_unit_test(long_lines_are_an_error_not_cut),
        cmocka_unit_test(files_are_read),
    };
    return cmocka_run_group_tests_name("config_text", tests, NULL, NULL);
}
