/* Settings: the default job, good and bad values, and what goes together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "settings.h"

static void defaults_are_the_default_job(void **state) {
    (void)state;
    dt_config config;
    memset(&config, 0xff, sizeof config);
    dt_config_defaults(&config);
    assert_string_equal(config.out, "runs/default");
    assert_int_equal(config.seed, 1);
    assert_int_equal(config.shards, 8);
    for (const char *op = "+-*/"; *op; op++) assert_non_null(strchr(config.ops, *op));
    assert_int_equal(config.format, DT_FORMAT_SCRATCHPAD);
    assert_int_equal(config.schedule, DT_SCHEDULE_COSINE);
    assert_int_equal(config.log_level, 2);
    assert_true(config.lr > 0);
    assert_true(config.checkpoint_every.steps > 0);
    assert_int_equal(dt_config_check(&config), DT_OK);
}

static void every_default_can_be_set(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        assert_ptr_equal(dt_setting_find(setting->name), setting);
        assert_int_equal(dt_config_set(&config, setting, setting->initial, "test"), DT_OK);
        assert_true(strlen(setting->help) > 0);
        assert_true(strlen(setting->value) > 0);
    }
    assert_null(dt_setting_find("wdith"));
}

/* No two settings share bytes of the configuration, and each section is in one piece. */
static void settings_do_not_overlap(void **state) {
    (void)state;
    unsigned char owner[sizeof(dt_config)] = {0};
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        const size_t size = setting->type == DT_SETTING_TEXT      ? (size_t)setting->max + 1
                            : setting->type == DT_SETTING_CADENCE ? sizeof(dt_cadence)
                                                                  : 8;
        for (size_t at = setting->offset; at < setting->offset + size; at++) {
            assert_true(at < sizeof owner);
            assert_int_equal(owner[at], 0);
            owner[at] = 1;
        }
        for (size_t j = 0; j + 1 < i; j++) {
            if (strcmp(dt_setting_at(j)->section, setting->section) == 0) {
                assert_string_equal(dt_setting_at(i - 1)->section, setting->section);
            }
        }
    }
}

static void good_values_are_taken(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    assert_int_equal(set(&config, "width", "64"), DT_OK);
    assert_int_equal(config.width, 64);
    assert_int_equal(set(&config, "seed", "9007199254740991"), DT_OK);
    assert_true(config.seed == INT64_C(9007199254740991));
    assert_int_equal(set(&config, "lr", "1e-3"), DT_OK);
    assert_true(config.lr == 1e-3);
    assert_int_equal(set(&config, "schedule", "constant"), DT_OK);
    assert_int_equal(config.schedule, DT_SCHEDULE_CONSTANT);
    assert_int_equal(set(&config, "log-level", "debug"), DT_OK);
    assert_int_equal(config.log_level, 3);
    assert_int_equal(set(&config, "checkpoint-every", "10m"), DT_OK);
    assert_int_equal(config.checkpoint_every.steps, 0);
    assert_true(config.checkpoint_every.seconds == 600);
    assert_int_equal(set(&config, "checkpoint-every", "500"), DT_OK);
    assert_int_equal(config.checkpoint_every.steps, 500);
    assert_true(config.checkpoint_every.seconds == 0);
    assert_int_equal(set(&config, "checkpoint-every", "2e"), DT_OK);
    assert_int_equal(config.checkpoint_every.steps, 0);
    assert_int_equal(config.checkpoint_every.epochs, 2);
    assert_int_equal(set(&config, "time-limit", "23h50m"), DT_OK);
    assert_true(config.time_limit == 85800);
    assert_int_equal(set(&config, "time-limit", "0"), DT_OK);
    assert_true(config.time_limit == 0);
    assert_int_equal(set(&config, "out", "runs/a b=c:d"), DT_OK);
    assert_string_equal(config.out, "runs/a b=c:d");
}

static void bad_values_are_named_and_change_nothing(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *error;
    } bad[] = {
        {"width", "12x", "--width: \"12x\" is not a whole number"},
        {"width", "", "--width: \"\" is not a whole number"},
        {"width", " 12", "--width: \" 12\" is not a whole number"},
        {"width", "12 ", "--width: \"12 \" is not a whole number"},
        {"width", "1e2", "--width: \"1e2\" is not a whole number"},
        {"width", "12.0", "--width: \"12.0\" is not a whole number"},
        {"width", "0", "--width 0: must lie between 1 and 65536"},
        {"width", "-3", "--width -3: must lie between 1 and 65536"},
        {"width", "99999999999999999999",
         "--width 99999999999999999999: must lie between 1 and 65536"},
        {"seed", "-1", "--seed -1: must lie between 0 and 9007199254740991"},
        {"seed", "9007199254740993",
         "--seed 9007199254740993: must lie between 0 and 9007199254740991"},
        {"lr", "5000", "--lr 5000: must lie between 1e-12 and 10"},
        {"lr", "0", "--lr 0: must lie between 1e-12 and 10"},
        {"lr", "1e999", "--lr 1e999: must lie between 1e-12 and 10"},
        {"lr", "nan", "--lr: \"nan\" is not a number"},
        {"lr", "inf", "--lr: \"inf\" is not a number"},
        {"lr", "0x1p-3", "--lr: \"0x1p-3\" is not a number"},
        {"lr", "1,5", "--lr: \"1,5\" is not a number"},
        {"lr", "", "--lr: \"\" is not a number"},
        {"lr", "e", "--lr: \"e\" is not a number"},
        {"dropout", "1", "--dropout 1: must lie between 0 and 0.95"},
        {"schedule", "linear", "--schedule: \"linear\" is none of cosine|constant"},
        {"schedule", "cosine|constant",
         "--schedule: \"cosine|constant\" is none of cosine|constant"},
        {"schedule", "cos", "--schedule: \"cos\" is none of cosine|constant"},
        {"schedule", "", "--schedule: \"\" is none of cosine|constant"},
        {"out", "", "--out: must not be empty"},
        {"text", "one :two",
         "--text: \"one \" cannot be kept in an ini file; leave out control characters, spaces at "
         "the ends and ';' after a space"},
        {"ops", "+++++++++++++++++",
         "--ops: \"+++++++++++++++++\" is 17 bytes long; 16 are the most"},
        {"checkpoint-every", "soon",
         "--checkpoint-every: \"soon\" is neither a number of steps, nor a time such as 10m, nor "
         "epochs such as 2e, nor never"},
        {"checkpoint-every", "",
         "--checkpoint-every: \"\" is neither a number of steps, nor a time such as 10m, nor "
         "epochs such as 2e, nor never"},
        {"checkpoint-every", "some",
         "--checkpoint-every: \"some\" is neither a number of steps, nor a time such as 10m, nor "
         "epochs such as 2e, nor never"},
        {"checkpoint-every", "99999999999e",
         "--checkpoint-every 99999999999: must lie between 0 and 4294967295"},
        {"time-limit", "90",
         "--time-limit: \"90\" is not a time; write it like 90s, 5m, 23h50m or 1d"},
        {"time-limit", "-5m",
         "--time-limit: \"-5m\" is not a time; write it like 90s, 5m, 23h50m or 1d"},
        {"checkpoint-every", "-5", "--checkpoint-every -5: must lie between 0 and 4294967295"},
        {"checkpoint-every", "m",
         "--checkpoint-every: \"m\" is not a time; write it like 90s, 5m, 23h50m or 1d"},
        {"checkpoint-every", "0s",
         "--checkpoint-every 0s: must lie between 0.001 and 1000000000 seconds"},
    };
    dt_config before, config;
    dt_config_defaults(&before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config = before;
        assert_error(set(&config, bad[i].name, bad[i].text), DT_ERR_ARG, bad[i].error);
        assert_memory_equal(&config, &before, sizeof config);
    }
    static const char *const no_ini[] = {"a ;b", ";a", " a", "a ", "a\nb", "a\tb", "a\x7f"};
    for (size_t i = 0; i < sizeof no_ini / sizeof *no_ini; i++) {
        assert_int_equal(set(&config, "out", no_ini[i]), DT_ERR_ARG);
    }
    char path[400] = {0};
    memset(path, 'x', 181);
    assert_int_equal(set(&config, "out", path), DT_ERR_ARG);
}

static void durations_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"90s", 90},    {"5m", 300},     {"23h50m", 85800},   {"1d", 86400},
                {"1.5h", 5400}, {"0.25s", 0.25}, {"1d2h3m4s", 93784}, {"2d30s", 172830}};
    static const char *const bad[] = {"",     "90",   "s",     "5x",  "-5m",     "5m5",
                                      "5m5h", "1h1h", "1..5s", ".s",  "1e3s",    "5 m",
                                      "5m ",  " 5m",  "0s",    "inf", "1d0x10s", "99999999999d"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double seconds = -1;
        assert_int_equal(dt_duration_parse(&seconds, good[i].text, "--time-limit"), DT_OK);
        assert_true(seconds == good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double seconds = -1;
        assert_int_equal(dt_duration_parse(&seconds, bad[i], "--time-limit"), DT_ERR_ARG);
        assert_true(seconds == -1);
    }
    double seconds;
    assert_error(dt_duration_parse(&seconds, "90", "--time-limit"), DT_ERR_ARG,
                 "--time-limit: \"90\" is not a time; write it like 90s, 5m, 23h50m or 1d");
}

static void nearest_names_are_guessed(void **state) {
    (void)state;
    assert_string_equal(dt_setting_nearest("wdith"), "width");
    assert_string_equal(dt_setting_nearest("weight_decay"), "weight-decay");
    assert_string_equal(dt_setting_nearest("checkpoint-evry"), "checkpoint-every");
    assert_string_equal(dt_setting_nearest("loglevel"), "log-level");
    assert_string_equal(dt_setting_nearest("head"), "heads");
    assert_string_equal(dt_setting_nearest("rl"), "lr");
    assert_null(dt_setting_nearest("xyzzy"));
    assert_null(dt_setting_nearest(""));
    assert_null(dt_setting_nearest("q"));
    assert_null(dt_setting_nearest("a-name-far-longer-than-that-of-any-setting-there-is"));
}

static void targets_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool target[DT_TARGETS];
    } GOOD[] = {{"all", {true, true, true, true}},
                {"attn_out", {false, true, false, false}},
                {"mlp_out,attn_qkv", {true, false, false, true}}};
    static const char *const BAD[] = {"attn", "all,mlp_in", "mlp_in,", ",mlp_in",
                                      "mlp_in, mlp_out"};
    dt_config config;
    dt_config_defaults(&config);
    assert_false(dt_config_adapts(&config, DT_TARGET_MLP_IN));
    config.lora_rank = 2;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_int_equal(set(&config, "lora-targets", GOOD[i].text), DT_OK);
        assert_int_equal(dt_config_check(&config), DT_OK);
        for (size_t t = 0; t < DT_TARGETS; t++)
            assert_int_equal(dt_config_adapts(&config, (dt_target)t), GOOD[i].target[t]);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(set(&config, "lora-targets", BAD[i]), DT_OK);
        assert_int_equal(dt_config_check(&config), DT_ERR_ARG);
        assert_non_null(strstr(dt_error_text(), "attn_qkv, attn_out, mlp_in, mlp_out"));
    }
}

static void what_does_not_fit_together_is_refused(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    config.heads = 3;
    assert_error(dt_config_check(&config), DT_ERR_ARG,
                 "--width 128 is not a multiple of --heads 3; the next one is --width 129");
    dt_config_defaults(&config);
    config.shards = 6;
    assert_error(dt_config_check(&config), DT_ERR_ARG,
                 "--shards 6 is not a power of two; the nearest are 4 and 8");
    config.shards = 8;
    config.batch = 7;
    assert_error(dt_config_check(&config), DT_ERR_ARG,
                 "--batch 7 is less than --shards 8: each shard needs a problem; raise --batch or "
                 "lower --shards");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_default_job),
        cmocka_unit_test(every_default_can_be_set),
        cmocka_unit_test(settings_do_not_overlap),
        cmocka_unit_test(good_values_are_taken),
        cmocka_unit_test(bad_values_are_named_and_change_nothing),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(nearest_names_are_guessed),
        cmocka_unit_test(targets_are_named),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
