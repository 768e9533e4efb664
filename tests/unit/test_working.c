/* Reading the text that a model has produced: right, wrong and senseless text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/random.h"
#include "written.h"

static void answers_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        dt_operation operation;
        dt_format format;
        const char *produced, *answer; /* NULL: refused */
    } known[] = {
        {DT_ADD, DT_FORMAT_PLAIN, "579$", "579"},
        {DT_ADD, DT_FORMAT_PLAIN, "579", "579"},
        {DT_ADD, DT_FORMAT_PLAIN, "0$", "0"},
        {DT_ADD, DT_FORMAT_REVERSE, "975$", "579"},
        {DT_ADD, DT_FORMAT_REVERSE, "05$", "50"},
        {DT_SUBTRACT, DT_FORMAT_REVERSE, "-87$", "-78"},
        {DT_SUBTRACT, DT_FORMAT_PLAIN, "-78$", "-78"},
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "640=640$", "46"},
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "nonsense=001$", "100"},
        {DT_SUBTRACT, DT_FORMAT_SCRATCHPAD, "8t=-80$", "-8"},
        {DT_SUBTRACT, DT_FORMAT_SCRATCHPAD, "00=00$", "0"},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "2bS9cS01=2901$", "1092"},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "nonsense=2901$", "1092"},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "29r10$", "29 r 10"},
        {DT_DIVIDE, DT_FORMAT_REVERSE, "29r01$", "29 r 10"},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "5:0,0,5=00r50$", "0 r 5"},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=12r34$", "12 r 43"},
        {DT_ADD, DT_FORMAT_PLAIN, "", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "$5", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "5$$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "05$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "00$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "5 $", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "+5$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "-5$", NULL},
        {DT_ADD, DT_FORMAT_PLAIN, "5=5$", NULL},
        {DT_ADD, DT_FORMAT_REVERSE, "50$", NULL},
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "64$", NULL},
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "640=64$", NULL}, /* as wide as the last step */
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "640=6400$", NULL},
        {DT_ADD, DT_FORMAT_SCRATCHPAD, "640=p40$", NULL}, /* only the working has carries */
        {DT_SUBTRACT, DT_FORMAT_SCRATCHPAD, "8t=-8$", NULL},
        {DT_SUBTRACT, DT_FORMAT_SCRATCHPAD, "00=-00$", NULL},
        {DT_SUBTRACT, DT_FORMAT_SCRATCHPAD, "8t=--80$", NULL},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "2bS9cS01=29010$", NULL},
        {DT_SUBTRACT, DT_FORMAT_PLAIN, "-0$", NULL},
        {DT_SUBTRACT, DT_FORMAT_PLAIN, "-$", NULL},
        {DT_SUBTRACT, DT_FORMAT_PLAIN, "--5$", NULL},
        {DT_SUBTRACT, DT_FORMAT_PLAIN, "-05$", NULL},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "2901$", NULL},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "2bS9cS01=2901=2901$", NULL},
        {DT_MULTIPLY, DT_FORMAT_SCRATCHPAD, "2bS9cS01=$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "29$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "r1$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "29r$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "29r1r1$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "029r1$", NULL},
        {DT_DIVIDE, DT_FORMAT_PLAIN, "29r-1$", NULL},
        {DT_DIVIDE, DT_FORMAT_REVERSE, "29r10$", NULL},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=0r50$", NULL}, /* as wide as dividend and divisor */
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=00r5$", NULL},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=000r50$", NULL},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=00r500$", NULL},
        {DT_DIVIDE, DT_FORMAT_SCRATCHPAD, "/=0-r50$", NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char answer[16] = "untouched";
        const dt_problem problem = {known[i].operation, DT_NUMBER(12), DT_NUMBER(34)};
        const dt_status status =
            dt_format_answer(answer, sizeof answer, known[i].produced, &problem, known[i].format);
        if (status != (known[i].answer ? DT_OK : DT_ERR_DATA)) fail_msg("%s", known[i].produced);
        assert_string_equal(answer, known[i].answer ? known[i].answer : "");
    }
}

static void assert_working(dt_problem problem, dt_format format, const char *produced,
                           const char *expected) {
    char text[512];
    dt_format_working(text, sizeof text, produced, &problem, format);
    assert_string_equal(text, expected);
}

static void working_is_shown_the_normal_way_round(void **state) {
    (void)state;
    const dt_format plain = DT_FORMAT_PLAIN, reverse = DT_FORMAT_REVERSE,
                    work = DT_FORMAT_SCRATCHPAD;
    const dt_problem product = {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(274)},
                     quotient = {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)};
    assert_working(product, work, "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=20847$",
                   "273 * 4 = 1092\n273 * 70 = 19110, sum 20202\n273 * 200 = 54600, sum 74802");
    assert_working((dt_problem){DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(104)}, work,
                   "2bS9cS01,00aK0aK00+29010,003aR7aM20+293820=29382$",
                   "273 * 4 = 1092\n273 * 0 = 0, sum 1092\n273 * 100 = 27300, sum 28392");
    assert_working(quotient, work,
                   "241,482,865;020,lonApmqCsqsFtntK02,00;602,smpA2ltC4p0G3ttM46,002;"
                   "046,lq0BssqE03tJ100T10,0029;/=0029r10$",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n20: 0, quotient 0, remainder 20\n"
                   "206 - 142 = 64: 2, quotient 2, remainder 64\n"
                   "640 - 568 = 72 - 71 = 1: 9, quotient 29, remainder 1");
    assert_working((dt_problem){DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)}, work, "22t,sqj=-870$",
                   "45 - 123 = 922 - 1000\n1000 - 922 = 78");
    assert_working((dt_problem){DT_SUBTRACT, DT_NUMBER(123), DT_NUMBER(45)}, work, "sq0=870$",
                   "123 - 45 = 78");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(789), DT_NUMBER(456)}, work, "onl1=5421$",
                   "789 + 456 = 1245");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(0), DT_NUMBER(0)}, work, "00=0$", "0 + 0 = 0");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(123), DT_NUMBER(456)}, reverse, "975",
                   "123 + 456 = 579");
    assert_working(quotient, plain, "29r1$", "2060 / 71 = 29 r 1");
    /* wrong numbers are shown, too */
    assert_working(product, work, "1iK11,02dT22+333,00444+9=1$",
                   "273 * 4 = 111\n273 * 70 = 2220, sum 333\n273 * 200 = 44400, sum 9");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(1), DT_NUMBER(2)}, work, "jk4j=3$",
                   "1 + 2 = 410");
    /* text of another form is shown unchanged */
    assert_working(product, work, "29:01,1191+2j2j2,,006450+1,1+1,r=1=$",
                   "29:01\n1191+2j2j2\n\n006450+1\n1+1\nr=1");
    assert_working((dt_problem){DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(4)}, work,
                   "2bS9cS01,01cT1fO91+2j2j2=1$", "273 * 4 = 1092\n01cT1fO91+2j2j2");
    assert_working(product, work, "2bS9cS01d,01cT1fO91,b006a4=1$", "2bS9cS01d\n01cT1fO91\nb006a4");
    assert_working(product, work, "2b9cS01,01cTf91+2j2j2,006aO4bO50=20847$",
                   "2b9cS01\n01cTf91+2j2j2\n006aO4bO50");
    assert_working(product, work, "2bS9cS01+2,01cS+2,00aJ0+2=20847$",
                   "2bS9cS01+2\n01cS+2\n00aJ0+2");
    assert_working(product, work, "2bSk,01bbT0+2,00S0+2=20847$", "2bSk\n01bbT0+2\n00S0+2");
    assert_working(product, work, "2jS9cS01,0aK+2j2j2,00a=20847$", "2jS9cS01\n0aK+2j2j2\n00a");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(1), DT_NUMBER(2)}, work, "3a0,30=3$", "3a0\n30");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(1), DT_NUMBER(2)}, work, "=3$", "");
    assert_working(product, work, "2bS9cS0k,01cT1fO91+2r,006aO4bO50+1=1$",
                   "2bS9cS0k\n01cT1fO91+2r\n"
                   "273 * 200 = 54600, sum 1");
    assert_working(quotient, work,
                   "24k,482,865;04p,lq0BssqE03tJ100T10,0029;046,lq0BssqE03tJ100T1j,"
                   "0029;046,lq0BssqE03tJ100T10,002t;/=1",
                   "24k,482,865\n04p,lq0BssqE03tJ100T10,0029\n046,lq0BssqE03tJ100T1j,0029\n"
                   "046,lq0BssqE03tJ100T10,002t");
    assert_working(quotient, work, "602:22,241,46;046:9,936;:,,;=$",
                   "602:22,241,46\n046:9,936\n:,,\n");
    assert_working(quotient, work, "241,482,865;020,lonAp",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n020,lonAp");
    assert_working(quotient, work, "241,482;602,smpB2ltC4p0G3ttM46,002;,AA2;602,460B12;602,smpA;/=",
                   "241,482\n602,smpB2ltC4p0G3ttM46,002\n,AA2\n602,460B12\n602,smpA");
    assert_working(quotient, work,
                   "241,482,865;602,smpA2ltD4p0G3ttM46,002;602,smpA2ltC4p0G3ttMM46,002",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n602,smpA2ltD4p0G3ttM46,002\n"
                   "602,smpA2ltC4p0G3ttMM46,002");
    assert_working(
        quotient, work,
        "241,482,865;602,smpA2ltC4p0G3ttM46;602,smpA2ltC4p0G3ttM46,;602,smpA2ltC4p0G3ttM,"
        "2;602,smpA2ltC4p0G3ttM46,0,2",
        "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n602,smpA2ltC4p0G3ttM46\n"
        "602,smpA2ltC4p0G3ttM46,\n602,smpA2ltC4p0G3ttM,2\n602,smpA2ltC4p0G3ttM46,0,2");
    assert_working(quotient, work, "241,482,865;/10;/;10=29r1",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n/10\n/\n10");
    assert_working(quotient, work, "/=29r1", "/");
    assert_working(quotient, work, "241,482,865;/", "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n/");
    const dt_problem negative = {DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)};
    assert_working(negative, work, "22t,8-0=-87", "45 - 123 = 922 - 1000\n8-0");
    assert_working(negative, work, "2-9,sqj", "2-9\nsqj");
    assert_working(negative, work, "22t,sqj,sqj=-870",
                   "45 - 123 = 922 - 1000\n1000 - 922 = 78\nsqj");
    assert_working((dt_problem){DT_SUBTRACT, DT_NUMBER(123), DT_NUMBER(45)}, work, "sq0,sqj=-870",
                   "123 - 45 = 78\nsqj");
    assert_working(quotient, work, "241,482,865;046",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n046");
    assert_working(quotient, work, "241,482,865;046;/=9r1",
                   "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568\n046");
    assert_working(quotient, work, "=29r1$", "");
    assert_working(quotient, work, "", "");
    assert_working(quotient, plain, "29r1r$", "29r1r");
    assert_working((dt_problem){DT_ADD, DT_NUMBER(1), DT_NUMBER(2)}, plain, "$", "");
}

/* Reads "640 - 568 = 72 - 71 = 1: 9, quotient 29, remainder 1": the remainder, the digit and the
 * quotient. Returns false if the line is not true. */
static bool read_quotient_line(const char *line, uint64_t *rest, uint64_t *digit,
                               uint64_t *quotient, uint64_t b) {
    char *at;
    uint64_t taken = 0;
    *rest = strtoull(line, &at, 10);
    while (*at == ' ') {
        uint64_t part, left;
        int length = 0;
        if (sscanf(at, " - %" SCNu64 " = %" SCNu64 "%n", &part, &left, &length) != 2) return false;
        if (part > *rest || *rest - part != left) return false;
        *rest = left;
        taken += part;
        at += length;
    }
    uint64_t left;
    return sscanf(at, ": %" SCNu64 ", quotient %" SCNu64 ", remainder %" SCNu64, digit, quotient,
                  &left) == 3 &&
           taken == *digit * b && left == *rest && *rest < b;
}

/* Reads each line of a right working. */
static void working_of_random_problems_is_true(void **state) {
    (void)state;
    const dt_config config = config_of("+-*/", 9, 18, 18, DT_FORMAT_SCRATCHPAD);
    for (uint64_t i = 0; i < 5000; i++) {
        dt_problem problem;
        char text[DT_PROBLEM_TEXT_MAX], lines[4096];
        assert_int_equal(dt_problem_sample(&problem, &config, DT_TRAIN, i), DT_OK);
        const size_t prompt = write_problem(text, &problem, DT_FORMAT_SCRATCHPAD);
        dt_format_working(lines, sizeof lines, text + prompt, &problem, DT_FORMAT_SCRATCHPAD);
        const uint64_t first = problem.a.limb[0], second = problem.b.limb[0];
        uint64_t a, b, c = 0, d = 0, e, total = 0, sum = 0, rest = 0;
        for (char *next = lines, *line; (line = strsep(&next, "\n"));) {
            int read;
            switch (problem.operation) {
            case DT_ADD:
                read = sscanf(line, "%" SCNu64 " + %" SCNu64 " = %" SCNu64, &a, &b, &c);
                if (read != 3 || a != first || b != second || a + b != c || next)
                    fail_msg("%s", line);
                break;
            case DT_SUBTRACT:
                e = c; /* of the line before */
                read = sscanf(line, "%" SCNu64 " - %" SCNu64 " = %" SCNu64 " - %" SCNu64, &a, &b,
                              &c, &d);
                if (read != (a < b ? 4 : 3) || a - b != c - (a < b ? d : 0)) fail_msg("%s", line);
                if (line == lines) {
                    assert_true(a == first && b == second && (next != NULL) == (a < b));
                } else {
                    assert_true(a == d && b == e && c == second - first && !next);
                }
                break;
            case DT_MULTIPLY:
                read = sscanf(line, "%" SCNu64 " * %" SCNu64 " = %" SCNu64 ", sum %" SCNu64, &a, &b,
                              &c, &sum);
                total += c;
                if (line == lines) sum = total; /* the first is its own sum */
                if (read != (line == lines ? 3 : 4)) fail_msg("%s", line);
                if (a != first || a * b != c || sum != total) fail_msg("%s", line);
                break;
            default:
                if (line == lines) {
                    read = sscanf(line,
                                  "2 * %" SCNu64 " = %" SCNu64 ", 4 * %*u = %" SCNu64
                                  ", 8 * %*u = %" SCNu64,
                                  &b, &c, &d, &e);
                    if (read != 4 || c != 2 * b || d != 4 * b || e != 8 * b) fail_msg("%s", line);
                    continue;
                }
                if (!read_quotient_line(line, &rest, &c, &d, b)) fail_msg("%s", line);
                total = total * 10 + c;
                if (d != total) fail_msg("%s", line);
            }
        }
        if (problem.operation == DT_MULTIPLY) assert_true(total == first * second);
        if (problem.operation == DT_DIVIDE) {
            assert_true(total == first / second && rest == first % second);
        }
    }
}

/* Random text, or the right text with a few bytes changed. */
static size_t senseless_text(char *text, size_t size, const dt_problem *problem, dt_format format,
                             uint64_t i) {
    static const char character[] = "0123456789+-*/=r,;ABCDEGKMPTabijkqt:$ .です";
    uint32_t word[4];
    dt_random_block(word, 3, DT_RANDOM_TEST, 0, i);
    size_t length = word[0] % (i % 5 == 0 ? size - 1 : 40);
    if (i % 3 != 0) {
        char right[DT_PROBLEM_TEXT_MAX];
        const size_t prompt = write_problem(right, problem, format);
        length = strlen(right + prompt);
        memcpy(text, right + prompt, length + 1);
    }
    for (size_t change = 0; change < (i % 3 == 0 ? length : 1 + i % 2); change++) {
        dt_random_block(word, 4, DT_RANDOM_TEST, (uint32_t)change, i);
        const size_t at = i % 3 == 0 ? change : length == 0 ? 0 : word[1] % length;
        const char c = word[2] % 50 == 0 ? (char)(1 + word[3] % 255)
                                         : character[word[3] % (sizeof character - 1)];
        text[at] = c;
    }
    text[length] = '\0';
    return length;
}

static void senseless_text_does_no_harm(void **state) {
    (void)state;
    enum { COUNT = 60000, GUARD = 0x5a };
    const dt_config config = config_of("+-*/", 9, 18, 18, DT_FORMAT_PLAIN);
    size_t understood = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_format format = formats[i % FORMATS];
        dt_problem problem;
        char produced[1500], text[600];
        assert_int_equal(dt_problem_sample(&problem, &config, DT_TRAIN, i), DT_OK);
        senseless_text(produced, sizeof produced, &problem, format, i / FORMATS);
        const size_t size = i % 7 == 0 ? 1 + i % 30 : sizeof text - 1;
        memset(text, GUARD, sizeof text);
        if (dt_format_answer(text, size, produced, &problem, format) == DT_OK) {
            understood++;
            assert_true(strspn(text, "-0123456789 r") == strlen(text) && *text);
        } else {
            assert_string_equal(text, "");
        }
        assert_int_equal(text[size], GUARD);
        dt_format_working(text, size, produced, &problem, format);
        assert_true(strnlen(text, size) < size);
        assert_int_equal(text[size], GUARD);
    }
    assert_true(understood > COUNT / 50);
    char one = GUARD;
    dt_format_working(&one, 0, "5$", &(dt_problem){DT_ADD, DT_NUMBER(2), DT_NUMBER(3)},
                      DT_FORMAT_PLAIN);
    assert_int_equal(one, GUARD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_strictly),
        cmocka_unit_test(working_is_shown_the_normal_way_round),
        cmocka_unit_test(working_of_random_problems_is_true),
        cmocka_unit_test(senseless_text_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
