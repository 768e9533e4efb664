/* Expressions: how questions are read and refused, what follows from a line, what people read, and
 * that a model sees only a part of its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/utf8.h"
#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"
#include "dtrain/expression/source.h"

static const dt_line_rules plain = {4, false}, near = {4, true};

static dt_source calculator(void) {
    dt_config config;
    dt_config_defaults(&config);
    config.format = DT_FORMAT_EXPRESSION;
    config.digits = 18;
    config.operations = 16;
    return dt_source_for_asking(&config, NULL);
}

static void each_form_is_read(void **state) {
    (void)state;
    static const char *const form[][2] = {
        {"3+4", "Q^3+^4$"},
        {" 12 + 34 = ", "Q^21+^43$"},
        {"0012*5", "Q^21*^5$"},
        {"5*-1211579", "Q^5*~9751121$"},
        {"-4--992", "Q~4-~299$"},
        {"4 x 5 × 6 ÷ 2", "Q^4*^5*^6/^2$"},
        {"１２＋３４", "Q^21+^43$"},
        {"7−2", "Q^7-^2$"},
        {"(3 - 2) - 5", "Q(^3-^2)-^5$"},
        {"[2763/5876-(7433*6934)]*5", "Q(^3672/^6785-(^3347*^4396))*^5$"},
        {"((4 + -1) - (2))", "Q(^4+~1)-^2$"},
        {"((-2)/((-20)/(-13)))", "Q~2/(~02/~31)$"},
        {"-(3+4)", "Q~1*(^3+^4)$"},
        {"6/-(3+4)", "Q^6/~1/(^3+^4)$"},
        {"2.50+.5", "Q^5.2+^5.0$"},
        {"-8236.35", "Q~53.6328$"},
        {"-2625.451+7297%", "Q~154.5262+^7927%$"},
        {"(1+2)%*3", "Q((^1+^2)/^001)*^3$"},
        {"-0+1", "Q^0+^1$"},
        {"1,234,567 / 1,000", "Q^7654321/^0001$"},
        {"20% of 50", "Q^02%*^05$"},
        {"What is 3 plus 4 times -5?", "QWhat is ^3+^4*~5?$"},
        {"(3 plus 4) divided by minus 2", "Q(^3+^4)/~2$"},
        {"3たす4かける5は？", "Q^3+^4*^5は？$"},
        {"What is 47170 plus 9374?", "QWhat is ^07174 plus ^4739?$"},
        {"what is 48 minus 62", "QWhat is ^84 minus ^26?$"},
        {"What is (3 - 2) - 5?", "QWhat is (^3-^2)-^5?$"},
        {"Work out 398344341 * -0.2.", "QWork out ^143443893*~2.0$"},
        {"14 divided by -(3+4)", "Q^41/~1/(^3+^4)$"},
        {"Calculate 14 divided by -7.", "QCalculate ^41 divided by ~7$"},
        {"Sum -772670 and -133.553.", "QSum ~076277 and ~355.331$"},
        {"Put together 1 and 2.", "QPut together ^1 and ^2$"},
        {"What is 5 less than 3?", "QWhat is ^5 less than ^3?$"},
        {"Divide 9 by 3.", "QDivide ^9 by ^3$"},
        {"Add together 9 and 3.", "QAdd together ^9 and ^3$"},
        {"What is the difference between 3 and 9?", "QWhat is the difference between ^3 and ^9?$"},
        {"1922 divided by -285", "Q^2291 divided by ~582$"},
        {"What is the value of (5/(-1))*2?", "QWhat is the value of (^5/~1)*^2?$"},
        {"5から3を引くと？", "Q^5から^3を引くと？$"},
        {"１２足す３は?", "Q^21足す^3は？$"},
        {"(1+2)*3はいくつですか？", "Q(^1+^2)*^3はいくつですか？$"},
    };
    const dt_source source = calculator();
    dt_text prompt = {0};
    for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
        const dt_line line = dt_line_of(form[i][0]);
        const dt_status status = dt_expression_source.ask(&prompt, &source, &line);
        if (status != DT_OK) print_error("%s: %s\n", form[i][0], dt_error_text());
        assert_int_equal(status, DT_OK);
        assert_string_equal(prompt.bytes, form[i][1]);
    }
    dt_text_destroy(&prompt);
}

/* A sentence, and a caret under the place. */
static void what_cannot_be_read_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *asked, *why;
        size_t column; /* from 1 on */
    } refused[] = {
        {"3+", "a number is missing", 3},
        {"Tell me 3+4", "a number is missing", 1},
        {"(3+4", "the bracket ) is missing", 5},
        {"[3+4)", "the bracket ] is missing", 5},
        {"3+4)", "something follows the question", 4},
        {"2(3+4)", "one of + - * / is missing", 2},
        {"3 4", "one of + - * / is missing", 3},
        {"2^3", "something follows the question", 2},
        {"1,00+1", "something follows the question", 2},
        {"1234,567+1", "something follows the question", 5},
        {"1,0000+1", "something follows the question", 2},
        {"5!", "something follows the question", 2},
        {"3 plus", "a number is missing", 7},
        {"3 of 4", "something follows the question", 3},
        {"", "a number is missing", 1},
        {"What is 3 plus ?", "a number is missing", 16},
        {"Divide 14 by -(3+4)", "a number is missing", 15},
        {"14を-(3+4)で割ると？", "a number is missing", 6},
    };
    const dt_source source = calculator();
    dt_text prompt = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const dt_line line = dt_line_of(refused[i].asked);
        assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_ERR_ARG);
        const char *caret = strrchr(dt_error_text(), '\n');
        const size_t column = caret ? strcspn(caret + 1, "^") : 0;
        if (!strstr(dt_error_text(), refused[i].why) || column != 1 + refused[i].column)
            print_error("\"%s\": %s\n", refused[i].asked, dt_error_text());
        assert_non_null(strstr(dt_error_text(), refused[i].why));
        assert_int_equal(column, 1 + refused[i].column);
        assert_int_equal(dt_error_text()[strlen(dt_error_text()) - 1], '^');
        dt_error_clear();
    }
    dt_text_destroy(&prompt);
}

/* What a model that makes no mistake answers. */
static void solve(dt_text *reply, dt_text *whole, const char *asked, dt_line_rules rules,
                  bool working) {
    dt_source source = calculator();
    source.config.working = rules.near ? DT_WORKING_NEAR : DT_WORKING_PLAIN;
    const dt_line line = dt_line_of(asked);
    dt_text prompt = {0};
    assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_OK);
    dt_text_clear(whole);
    assert_int_equal(dt_text_append(whole, prompt.bytes, prompt.length), DT_OK);
    assert_int_equal(dt_expression_solve(whole, rules), DT_OK);
    assert_int_equal(dt_expression_source.reply(reply, &source, &prompt, &line,
                                                whole->bytes + prompt.length, working),
                     DT_OK);
    dt_text_destroy(&prompt);
}

static void answers_have_the_form_that_was_asked_for(void **state) {
    (void)state;
    static const char *const answer[][2] = {
        {"2060/71", "29 r 1\n"},
        {"213/1", "213\n"},
        {"426/2", "213\n"},
        {"33868/5", "6773.6\n"},
        {"2060/-71", "≈ -29.0141\n"},
        {"2/3", "0 r 2\n"},
        {"-2/3", "≈ -0.6667\n"},
        {"-1/100000/3", "≈ 0.0000\n"},
        {"1/8+0", "0.125\n"},
        {"999999/1000000*1", "0.999999\n"},
        {"2/3*3", "2\n"},
        {"12.5%*[3-(-4)]", "0.875\n"},
        {"3/(2-2)", "division by zero\n"},
        {"What is 9 divided by 0?", "Nothing can be divided by zero.\n"},
        {"9割る0は？", "0では割れません。\n"},
        {"5から3を引くと？", "2になります。\n"},
        {"Multiply 12 and -3", "The product is -36.\n"},
        {"Subtract 9 from 3", "The difference is -6.\n"},
        {"What is the difference between 3 and 9?", "The difference is 6.\n"},
        {"What is the distance between 0.5 and 1.75?", "The difference is 1.25.\n"},
        {"9と3の差は？", "差は6です。\n"},
        {"Divide 7 by 2", "The quotient is 3.5.\n"},
        {"((-154 + 163 - (-150)/(-28)) + (-12)/(-14))/(802/(-100) - (-68)/(-119)*-14)", "-225\n"},
        {"2236-(1109*7643)*9214/2696+7693/(2097/6823)*6485", "≈ 133357857.4201\n"},
        {"-7584+-4732.189693*1164.715353897*6834*-1477", "55633632276632.665307867754978\n"},
    };
    dt_text reply = {0}, whole = {0};
    for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) {
        solve(&reply, &whole, answer[i][0], plain, false);
        assert_string_equal(reply.bytes, answer[i][1]);
    }
    solve(&reply, &whole, "(3-5)*12", plain, true);
    assert_string_equal(reply.bytes, "(3-5)*12\n  3-5 = -2\n= -2*12\n  -2*12 = -24\n-24\n");
    solve(&reply, &whole, "-2/3", plain, true);
    assert_string_equal(reply.bytes, "-2/3\n  2/3 = 0 r 2\n≈ -0.6667\n");
    solve(&reply, &whole, "-8/3", (dt_line_rules){0, false}, false);
    assert_string_equal(reply.bytes, "≈ -3\n");
    solve(&reply, &whole, "-7/3", (dt_line_rules){0, false}, false);
    assert_string_equal(reply.bytes, "≈ -2\n");
    dt_text_destroy(&reply);
    dt_text_destroy(&whole);
}

static void answers_are_compared_with_values(void **state) {
    (void)state;
    static const struct {
        const char *asked, *value;
        bool right;
    } given[] = {
        {"2060/71", "2060/71", true},
        {"2060/71", "2060/71 ~ 29.0141", true},
        {"33868/5", "6773.6", true},
        {"33868/5", "6773.61", false},
        {"-2/3", "-2/3 ~ -0.6667", true},
        {"What is 3 plus 4?", "7", true},
        {"What is 3 plus 4?", "8", false},
        {"3/0", "0", false},
        {"0.12 - 84955808460005384", "-84955808460005383.88", true},
    };
    const dt_source source = calculator();
    dt_text reply = {0}, whole = {0}, prompt = {0};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        bool right;
        const dt_line line = dt_line_of(given[i].asked);
        solve(&reply, &whole, given[i].asked, plain, false);
        assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_OK);
        assert_int_equal(dt_expression_source.is_value(&right, &source, &prompt,
                                                       whole.bytes + prompt.length, given[i].value),
                         DT_OK);
        assert_int_equal(right, given[i].right);
    }
    bool right;
    assert_int_equal(dt_expression_source.is_value(&right, &source, &prompt, "", "many"),
                     DT_ERR_DATA);
    dt_error_clear();
    assert_int_equal(dt_expression_source.is_value(&right, &source, &prompt, "", "1.5/3"),
                     DT_ERR_DATA);
    dt_error_clear();
    dt_text_destroy(&reply);
    dt_text_destroy(&whole);
    dt_text_destroy(&prompt);
}

static void the_model_sees_the_line_that_waits_and_what_was_found(void **state) {
    (void)state;
    static const char *const part[][2] = {
        {"Q^3+^4*^2$", "Q^3+^4*^2$"},
        {"Q^3+^4*^2${E^3+^4*^2", "E^3+^4*^2$"},
        {"Q^3+^4*^2${E^3+^4*^2$>P^3+^4[*]^2$", "P^3+^4[*]^2$"},
        {"Q^3+^4*^2${E^3+^4*^2$>P^3+^4[*]^2${B^4*^2$", "B^4*^2$"},
        {"Q^3+^4*^2${P^3+^4[*]^2${B^4*^2$>M^4*^2+^$", "M^4*^2+^$"},
        {"Q^3+^4*^2${P^3+^4[*]^2${B^4*^2$>M^4*^2+^$^80}^8$", "P^3+^4[*]^2}^8$"},
        {"Q^3+^4*^2${E^3+^4*^2$}^11$", "Q^3+^4*^2}^11$"},
        {"Q^3+^4*^2$}^11$", NULL},
        {"Q^3+^4*^2$nonsense$", NULL},
        {"Q^3+^4*^2${E^3+^4$>E^3+^80$", "E^3+^80$"},
        {"Q^3+^4*^2${E^3+^4$>E^3+^4$", NULL}, /* for ever */
        {"B^4*^2$>M^4*^2+^$", NULL},
    };
    dt_text seen = {0};
    bool ended;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        assert_int_equal(dt_expression_window(&seen, &ended, part[i][0]), DT_OK);
        assert_int_equal(ended, part[i][1] == NULL);
        if (part[i][1]) assert_string_equal(seen.bytes, part[i][1]);
    }
    dt_text_destroy(&seen);
}

/* Not even where what was found for another line than the first is the last that may be written. */
static void a_calculation_that_is_given_up_has_no_answer(void **state) {
    (void)state;
    const dt_source source = calculator();
    const dt_line asked = dt_line_of("3+4");
    dt_text prompt = {0}, lines = {0}, seen = {0}, reply = {0};
    bool ended;
    assert_int_equal(dt_expression_source.ask(&prompt, &source, &asked), DT_OK);
    assert_int_equal(dt_text_append(&lines, prompt.bytes, prompt.length), DT_OK);
    assert_int_equal(dt_text_append(&lines, "{E^3$", 5), DT_OK);
    for (size_t i = 1; i < 1998; i++) {
        assert_int_equal(dt_text_append(&lines, i % 2 ? ">E^4$" : ">E^3$", 5), DT_OK);
    }
    assert_int_equal(dt_text_append(&lines, "{B^3$", 5), DT_OK);
    assert_int_equal(dt_expression_window(&seen, &ended, lines.bytes), DT_OK);
    assert_false(ended);
    assert_int_equal(dt_text_append(&lines, "}^7$", 4), DT_OK);
    assert_int_equal(dt_expression_window(&seen, &ended, lines.bytes), DT_OK);
    assert_true(ended);
    assert_int_equal(dt_expression_source.reply(&reply, &source, &prompt, &asked,
                                                lines.bytes + prompt.length, false),
                     DT_ERR_DATA);
    dt_error_clear();
    dt_text_destroy(&prompt);
    dt_text_destroy(&lines);
    dt_text_destroy(&seen);
    dt_text_destroy(&reply);
}

static void a_line_without_sense_has_none_that_follows(void **state) {
    (void)state;
    static const char *const line[] = {"",          "$",           "E$",      "E^3+$",   "B^3$",
                                       "S^3+^4",    "M^3*^4$",     "X^1$",    "Qx$",     "L^1,^0$",
                                       "P^3+^4}$x", "G^5,^0$",     "E(^3$",   "B^+^$",   "R^3$",
                                       "F^,^3,^$",  "Q^3+^4}^1,$", "P^3+^4$", "P[+]^4$", "P^3[+$",
                                       "P^3[+^4$",  "P^3]+[^4}^7$"};
    dt_text next = {0};
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        dt_text_clear(&next);
        if (dt_expression_next(&next, line[i], strlen(line[i]), plain) == DT_OK)
            print_error("%s: %s\n", line[i], next.bytes);
        dt_text_clear(&next);
        assert_int_equal(dt_expression_next(&next, line[i], strlen(line[i]), plain), DT_ERR_DATA);
        dt_error_clear();
    }
    dt_text_destroy(&next);
}

static void follow_as_wanted(const char *const line[][2], size_t count, dt_line_rules rules) {
    dt_text next = {0};
    for (size_t i = 0; i < count; i++) {
        dt_text_clear(&next);
        assert_int_equal(dt_expression_next(&next, line[i][0], strlen(line[i][0]), rules), DT_OK);
        assert_string_equal(next.bytes, line[i][1]);
    }
    dt_text_destroy(&next);
}

static void the_operation_that_comes_next_is_marked(void **state) {
    (void)state;
    static const char *const line[][2] = {
        {"E^3+^4*^2$", ">P^3+^4[*]^2$"},
        {"E^3-^4-^2$", ">P^3[-]^4-^2$"},
        {"E^3-^4/^2/^5$", ">P^3-^4[/]^2/^5$"},
        {"E^3*(^4-^2)/^5$", ">P^3*(^4]-[^2)/^5$"},
        {"E(^3*^4+^2):^5$", ">P(^3[*]^4+^2):^5$"},
        {"E^3:^5+(^4:^7+~2)$", ">P^3:^5+(^4:^7]+[~2)$"},
        {"E^3:^5$", "}^3:^5$"},
        {"P^3+^4[*]^2$", "{B^4*^2$"},
        {"P^3+^4:^7[*]~2$", "{B^4:^7*~2$"},
        {"P^3*(^4]-[^2)/^5$", "{B^4-^2$"},
        {"P^3+^4[*]^2}^8$", ">E^3+^8$"},
        {"P^3*(^4]-[^2)/^5}^2$", ">E^3*^2/^5$"},
        {"P(^3[-]^4)-^2}~1$", ">E(~1)-^2$"},
        {"P^3[-]^4}~1$", "}~1$"},
        {"P(^3]-[^4)}~1$", "}~1$"},
        {"P^3+^4[/]^0}!$", "}!$"},
    };
    follow_as_wanted(line, sizeof line / sizeof *line, plain);
}

static void decimals_are_lined_up_and_powers_of_ten_are_zeros(void **state) {
    (void)state;
    static const char *const line[][2] = {
        {"B^52:^01+^543:^001$", ">B^052:^001+^543:^001$"},
        {"B^52:^0001-~543:^01$", ">B^52:^0001-~0543:^001$"},
        {"B~52:^01/^543:^0001$", ">B~052:^001/^543:^0001$"},
        {"B^0:^01+^543:^001$", ">B^0:^001+^543:^001$"},
        {"B^052:^001+^543:^001$", ">E(^052+^543):^001$"},
        {"B^052:^001/~543:^001$", ">B^052/~543$"},
        {"B^052:^001/^0:^001$", "}!$"},
        {"B~7+^543:^001$", ">B~07:^01+^543:^001$"},
        {"B^543:^001-^0$", ">B^543:^001-^0:^01$"},
        {"B^543:^001/^7$", ">B^543:^001/^07:^01$"},
        {"B^3:^7-~5:^7$", ">E(^3*^7-~5*^7):(^7*^7)$"},
        {"B^52:^01*^5:^001$", ">E(^52*^5):(^01*^001)$"},
        {"B^52:^01+^3:^7$", ">E(^52*^7+^3*^01):(^01*^7)$"},
        {"B^52:^01*^7$", ">E(^52*^7):^01$"},
        {"B^52*^001$", ">B^052*^01$"},
        {"B~01*~52$", ">B~1*~052$"},
        {"B~1*^052$", "}~052$"},
        {"B^001*~01$", ">B^0001*~1$"},
        {"B^0001*~1$", "}~0001$"},
        {"B^0*^01$", "}^0$"},
        {"B^52*^725$", ">M^52*^725+^$"},
        {"B^725*~52$", ">M^725*^52+~$"},
        {"M^52*^0+^57$", "}^057$"},
        {"M^52*^00+^57$", ">M^52*^0+^057$"},
        {"M^52*^0+~57$", "}~057$"},
    };
    follow_as_wanted(line, sizeof line / sizeof *line, plain);
}

/* The digit that is multiplied by, or brought down, or found is a letter, which has no place. */
static void what_is_needed_is_near(void **state) {
    (void)state;
    static const char *const line[][2] = {
        {"B^52*^725$", ">M^52*^72,P+-$"},
        {"B^52*^7$", ">M^52*^!R+-$"},
        {"B^0*^7$", ">M^0*^!R+-$"},
        {"B^52*^001$", ">M^52*^00,L+-$"},
        {"B^0+^7$", ">S^0+^7$"},
        {"M^98*^72,N+-$", "^7cO62,>M^98*^7,M+^762$"},
        {"M^98*^7,M+^762$", "^8bQ71+^8n820,>M^98*^!R+^8482$"},
        {"M^98*^!R+^8482$", "^3gQ26+^3jk920,}^30192$"},
        {"M^52*^!K+^57$", "}^057$"},
        {"M^52*^7,K+^57$", ">M^52*^!R+^057$"},
        {"M^0*^!R+-$", "^00,}^0$"},
        {"M^7*^!K+-$", "}^0$"},
        {"W^0602:^17$", "{La^060,M,b^17,c-,d^0$"},
        {"W^0:^1$", "{La^!K,b^1,c-,d^0$"},
        {"La^060,M,b^17,c-,d^0$", "{G^20,^17$"},
        {"G^20,^17$", "K^1m}K,d^2$"},
        {"La^060,M,b^17,c-,d^0}K,d^2$", ">La^06,K,b^17,c-,d^2$"},
        {"La^!K,b^17,c^2,d^46}T,d^1$", "}c^29,d^1$"},
        {"La^!K,b^17,c^2,d^46}K,d^46$", "}c^20,d^46$"},
        {"La^!K,b^17,c-,d^0}K,d^0$", "}c^0,d^0$"},
        {"La^!K,b^17,c^2,d^46$", "{G^046,^17$"},
        {"W^0602:^17}c^29,d^1$", "}=c^29rd^1$"},
        {"W^0602:^01}c^206,d^0$", "}=c^206rd^0$"},
    };
    static const char *const senseless[] = {"M^98*^723+-$",
                                            "M^98*^72,+-$",
                                            "M^98*^72,NO+-$",
                                            "M^98*,N+-$",
                                            "M^*^!N+-$",
                                            "M^98*^72!N+-$",
                                            "M^98*^,N+-$",
                                            "M^98*^!3+-$",
                                            "La^060,,b^17,c-,d^0$",
                                            "La^0602,b^17,c-,d^0$",
                                            "La^060,M,b^17,c-,d$",
                                            "L^060,M,^17,-,^0$",
                                            "W^0602:^17}^92,^1$",
                                            "La^!M,b^17,c^2,d^46}^9,^1$"};
    dt_text next = {0};
    follow_as_wanted(line, sizeof line / sizeof *line, near);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        dt_text_clear(&next);
        assert_int_equal(dt_expression_next(&next, senseless[i], strlen(senseless[i]), near),
                         DT_ERR_DATA);
        dt_error_clear();
    }
    dt_text_destroy(&next);
}

static void a_question_has_the_same_answer_however_it_is_worked_out(void **state) {
    (void)state;
    static const char *const asked[] = {"2060/71", "29*71", "1000*1000", "45-207", "5/7",
                                        "0/3",     "0*12",  "900/30",    "12+0",   "7/1"};
    dt_text reply[2] = {{0}}, whole = {0};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        for (size_t way = 0; way < 2; way++) {
            dt_text_clear(&reply[way]);
            solve(&reply[way], &whole, asked[i], way ? near : plain, true);
        }
        assert_string_equal(reply[0].bytes, reply[1].bytes);
    }
    dt_text_destroy(&reply[0]);
    dt_text_destroy(&reply[1]);
    dt_text_destroy(&whole);
}

static void numbers_that_are_too_long_are_refused(void **state) {
    (void)state;
    dt_config config;
    dt_text prompt = {0};
    dt_config_defaults(&config);
    config.format = DT_FORMAT_EXPRESSION;
    config.digits = 4;
    const dt_source source = dt_source_for_asking(&config, NULL);
    static const char *const asked[] = {"12345678901234567+1", "0.0000000000000001+1"};
    for (size_t i = 0; i < 2; i++) {
        const dt_line line = dt_line_of(asked[i]);
        assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_ERR_ARG);
        assert_non_null(strstr(dt_error_text(), "a number has 17 digits, and the model can read "
                                                "16"));
        dt_error_clear();
    }
    const dt_line line = dt_line_of("1234567890123456+0.000000000000001");
    assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_OK);
    dt_text_destroy(&prompt);
}

static size_t longest_number(const char *text) {
    size_t longest = 0;
    dt_digit_run run = {.marked = true, .is_signed = true};
    for (; *text; text++) {
        dt_digit_run_take(&run, *text);
        if (run.digits > longest) longest = run.digits;
    }
    return longest - 1; /* the mark counts, too */
}

static void a_model_of_natural_numbers_is_asked_for_nothing_else(void **state) {
    (void)state;
    static const char *const refused[] = {"2.5*3",     "-2*3", "2*3*4", "2*(3)*4",     "5",
                                          "2 times 3", "5%*3", "2+3",   "What is 2*3?"};
    dt_source source = calculator();
    dt_text prompt = {0};
    source.config.numbers = DT_NUMBERS_NATURAL;
    strcpy(source.config.ops, "*/");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const dt_line line = dt_line_of(refused[i]);
        assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_ERR_ARG);
        if (!strstr(dt_error_text(), "one of */ between two natural numbers"))
            print_error("\"%s\": %s\n", refused[i], dt_error_text());
        assert_non_null(strstr(dt_error_text(), "one of */ between two natural numbers"));
        dt_error_clear();
    }
    const dt_line line = dt_line_of("12 x 34 =");
    assert_int_equal(dt_expression_source.ask(&prompt, &source, &line), DT_OK);
    assert_string_equal(prompt.bytes, "Q^21*^43$");
    dt_text_destroy(&prompt);
}

static void natural_numbers_are_as_long_as_they_come_up(void **state) {
    (void)state;
    static const struct {
        const char *ops;
        size_t longest;
    } of[] = {{"+", 6}, {"-", 5}, {"*", 11}, {"/", 8}};
    dt_config config;
    dt_text text = {0};
    for (size_t o = 0; o < sizeof of / sizeof *of; o++) {
        dt_config_defaults(&config);
        config.format = DT_FORMAT_EXPRESSION;
        config.numbers = DT_NUMBERS_NATURAL;
        config.digits = 5;
        config.dividend_digits = 7;
        config.eval_digits = config.eval_least_digits = 12;
        config.eval_dividend_digits = 9;
        strcpy(config.ops, of[o].ops);
        assert_int_equal(dt_source_check(&config), DT_OK);
        dt_source source = dt_source_for_asking(&config, NULL);
        const size_t most = dt_expression_source.size(&config).places - 2;
        size_t longest = 0;
        for (uint64_t i = 0; i < 4000; i++) {
            assert_int_equal(dt_expression_source.write(&text, &source, DT_TRAIN, i), DT_OK);
            assert_null(strpbrk(text.bytes + 1, "%("));
            const size_t length = longest_number(text.bytes);
            if (length > longest) longest = length;
        }
        assert_int_equal(longest, of[o].longest);
        const dt_config evaluated = dt_source_evaluated(&config);
        source = dt_source_with(&source, &evaluated);
        for (uint64_t i = 0; i < 50; i++) {
            assert_int_equal(dt_expression_source.write(&text, &source, DT_TEST, i), DT_OK);
            assert_int_equal(longest_number(text.bytes), of[o].ops[0] == '/' ? 9 : 12);
            assert_in_range(longest_number(text.bytes), 1, most);
            assert_int_equal(dt_expression_solve(&text, dt_line_rules_of(&config)), DT_OK);
        }
    }
    dt_text_destroy(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_are_too_long_are_refused),
        cmocka_unit_test(a_model_of_natural_numbers_is_asked_for_nothing_else),
        cmocka_unit_test(natural_numbers_are_as_long_as_they_come_up),
        cmocka_unit_test(what_is_needed_is_near),
        cmocka_unit_test(a_question_has_the_same_answer_however_it_is_worked_out),
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(what_cannot_be_read_is_refused_with_its_place),
        cmocka_unit_test(answers_have_the_form_that_was_asked_for),
        cmocka_unit_test(answers_are_compared_with_values),
        cmocka_unit_test(the_model_sees_the_line_that_waits_and_what_was_found),
        cmocka_unit_test(a_calculation_that_is_given_up_has_no_answer),
        cmocka_unit_test(a_line_without_sense_has_none_that_follows),
        cmocka_unit_test(the_operation_that_comes_next_is_marked),
        cmocka_unit_test(decimals_are_lined_up_and_powers_of_ten_are_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
