/* Problems asked and answered in words, in English and Japanese: the phrasings, and how they are
 * written and read back. */
#include "chat.h"

#include <ctype.h>
#include <string.h>

#include "dtrain/core/random.h"
#include "dtrain/data/typed.h"

/* %a and %b: the operands; %n: sum, difference, product or quotient; %r: the remainder. */
typedef struct {
    const char *question, *answer;
} wording;

/* A checkpoint knows the characters it was trained with, but not the words: a table changed in
   other ways makes its model worse without a message. */
static const wording table[DT_OPERATIONS][DT_PHRASINGS] = {
    [DT_ADD] =
        {
            {"What is %a plus %b?", "%n."},
            {"How much is %a plus %b?", "It is %n."},
            {"Add %a and %b.", "The sum is %n."},
            {"What is the sum of %a and %b?", "The sum is %n."},
            {"%a足す%bは？", "%nです。"},
            {"%aたす%bはいくつですか？", "%nです。"},
            {"%aに%bを足すと？", "%nになります。"},
            {"%aと%bの和は？", "和は%nです。"},
        },
    [DT_SUBTRACT] =
        {
            {"What is %a minus %b?", "%n."},
            {"How much is %a minus %b?", "It is %n."},
            {"Subtract %b from %a.", "The difference is %n."},
            {"What is left of %a without %b?", "What is left is %n."},
            {"%a引く%bは？", "%nです。"},
            {"%aひく%bはいくつですか？", "%nです。"},
            {"%aから%bを引くと？", "%nになります。"},
            {"%aから%bを引いた差は？", "差は%nです。"},
        },
    [DT_MULTIPLY] =
        {
            {"What is %a times %b?", "%n."},
            {"How much is %a times %b?", "It is %n."},
            {"Multiply %a by %b.", "The product is %n."},
            {"What is the product of %a and %b?", "The product is %n."},
            {"%a掛ける%bは？", "%nです。"},
            {"%aかける%bはいくつですか？", "%nです。"},
            {"%aに%bを掛けると？", "%nになります。"},
            {"%aと%bの積は？", "積は%nです。"},
        },
    [DT_DIVIDE] =
        {
            {"What is %a divided by %b?", "%n remainder %r."},
            {"How much is %a divided by %b?", "It is %n remainder %r."},
            {"Divide %a by %b.", "The quotient is %n, the remainder %r."},
            {"How often does %b go into %a?", "%n times, and %r is left."},
            {"%a割る%bは？", "%n余り%rです。"},
            {"%aわる%bはいくつですか？", "%nあまり%rです。"},
            {"%aを%bで割ると？", "%n余り%rになります。"},
            {"%aを%bで割った商と余りは？", "商は%n、余りは%rです。"},
        },
};

size_t dt_chat_phrasing(uint64_t index) {
    uint32_t word[4];
    dt_random_block(word, 0, DT_RANDOM_PHRASING, 0, index);
    return (size_t)dt_random_below(word, DT_PHRASINGS);
}

/* ---- writing ---- */

/* first for %a and %n, second for %b and %r. */
static void put_filled(dt_draft *text, const char *words, dt_span first, dt_span second) {
    for (; *words; words++) {
        if (*words != '%') {
            dt_draft_char(text, *words);
            continue;
        }
        words++;
        dt_draft_span(text, *words == 'a' || *words == 'n' ? first : second);
    }
}

void dt_chat_put_question(dt_draft *text, const dt_problem *problem, size_t phrasing) {
    char a[sizeof(dt_decimal)], b[sizeof(dt_decimal)];
    dt_draft first = dt_draft_begin(a, sizeof a), second = dt_draft_begin(b, sizeof b);
    if (problem->operation == DT_DIVIDE) {
        dt_draft_number(&first, &problem->a);
    } else {
        dt_draft_number_reversed(&first, &problem->a);
    }
    dt_draft_number_reversed(&second, &problem->b);
    put_filled(text, table[problem->operation][phrasing].question, (dt_span){a, first.length},
               (dt_span){b, second.length});
}

void dt_chat_put_answer(dt_draft *text, dt_span answer, dt_operation operation, size_t phrasing) {
    dt_span first, second;
    dt_span_cut(&first, &second, answer, 'r');
    put_filled(text, table[operation][phrasing].answer, first, second);
}

void dt_chat_sentence(char *text, size_t size, const char *answer, dt_operation operation,
                      size_t phrasing) {
    static const char between[] = " r ";
    dt_draft out = dt_draft_begin(text, size);
    const char *cut = strstr(answer, between);
    const size_t length = cut ? (size_t)(cut - answer) : strlen(answer);
    const char *rest = cut ? cut + strlen(between) : "";
    put_filled(&out, table[operation][phrasing].answer, (dt_span){answer, length},
               (dt_span){rest, strlen(rest)});
}

/* ---- reading what a model wrote ---- */

static void advance(dt_span *text, size_t count) {
    text->at += count;
    text->count -= count;
}

/* Digits with or without a minus sign; the caller decides whether a sign is allowed. */
static dt_span take_number(dt_span *text) {
    size_t count = text->count > 0 && text->at[0] == '-';
    while (count < text->count && isdigit((unsigned char)text->at[count])) count++;
    const dt_span number = {text->at, count};
    advance(text, count);
    return number;
}

/* number[0]: what stands for %a or %n, number[1]: for %b or %r. */
static bool take_filled(dt_span number[2], dt_span text, const char *words) {
    for (; *words; words++) {
        if (*words == '%') {
            words++;
            const dt_span taken = take_number(&text);
            if (taken.count == 0) return false;
            number[*words != 'a' && *words != 'n'] = taken;
        } else {
            if (text.count == 0 || text.at[0] != *words) return false;
            advance(&text, 1);
        }
    }
    return text.count == 0;
}

bool dt_chat_take_answer(dt_draft *answer, dt_span sentence, dt_operation operation) {
    for (size_t i = 0; i < DT_PHRASINGS; i++) {
        dt_span number[2] = {{0}};
        if (!take_filled(number, sentence, table[operation][i].answer)) continue;
        dt_draft_span(answer, number[0]);
        if (operation == DT_DIVIDE) {
            dt_draft_char(answer, 'r');
            dt_draft_span(answer, number[1]);
        }
        return !answer->full;
    }
    return false;
}

/* ---- reading what people ask ---- */

/* The longest question that is looked at, in bytes. */
enum { QUESTION_SIZE = 256 + 2 * DT_DIGITS_MAX };

/* What two ways of writing the same question have in common: small letters, no spaces but those
 * between digits, no punctuation at the end. False: too long. */
static bool reduce(char reduced[QUESTION_SIZE], const dt_line *question) {
    dt_draft out = dt_draft_begin(reduced, QUESTION_SIZE);
    size_t end = 0; /* after the last character that ends no question */
    bool space = false;
    for (size_t at = 0; at < question->length && !out.full;) {
        char plain[DT_UTF8_SIZE];
        at += dt_typed_character(plain, question, at);
        if (plain[0] == ' ') {
            space = true;
            continue;
        }
        const bool digit = isdigit((unsigned char)plain[0]);
        const bool after_digit =
            out.length > 0 && isdigit((unsigned char)out.buffer[out.length - 1]);
        if (space && digit && after_digit) dt_draft_char(&out, ' ');
        space = false;
        if (plain[1] == '\0') plain[0] = (char)tolower((unsigned char)plain[0]);
        dt_draft_string(&out, plain);
        if (!dt_typed_ends_question(plain)) end = out.length;
    }
    if (out.full) return false;
    dt_draft_rewind(&out, end);
    return true;
}

/* As many digits as a problem may have. */
static bool read_operand(dt_number *value, dt_span number) {
    while (number.count > 1 && number.at[0] == '0') advance(&number, 1);
    if (number.count > DT_DIGITS_MAX) return false;
    dt_number read = DT_NUMBER(0);
    for (size_t i = 0; i < number.count; i++) {
        if (!isdigit((unsigned char)number.at[i])) return false;
        dt_number_append_digit(&read, (unsigned)(number.at[i] - '0'));
    }
    *value = read;
    return true;
}

static bool reads_as(dt_problem *problem, const char *asked, const char *question) {
    char words[QUESTION_SIZE];
    dt_span number[2] = {{0}};
    const dt_line line = dt_line_of(question);
    return reduce(words, &line) && take_filled(number, (dt_span){asked, strlen(asked)}, words) &&
           read_operand(&problem->a, number[0]) && read_operand(&problem->b, number[1]);
}

/* "12 divided by 5" is short for the first phrasing. */
static const char *without_beginning(const char *question) {
    static const char beginning[] = "What is ";
    const size_t length = strlen(beginning);
    const bool begins = strncmp(question, beginning, length) == 0 && question[length] == '%';
    return begins ? question + length : question;
}

bool dt_chat_read(dt_problem *problem, size_t *phrasing, const dt_line *typed) {
    char asked[QUESTION_SIZE];
    if (!reduce(asked, typed)) return false;
    for (int operation = 0; operation < DT_OPERATIONS; operation++) {
        for (size_t i = 0; i < DT_PHRASINGS; i++) {
            const char *question = table[operation][i].question;
            dt_problem read = {.operation = (dt_operation)operation};
            if (!reads_as(&read, asked, question) &&
                !reads_as(&read, asked, without_beginning(question))) {
                continue;
            }
            *problem = read;
            *phrasing = i;
            return true;
        }
    }
    return false;
}

/* ---- vocabulary ---- */

static size_t add_characters(char character[][DT_UTF8_SIZE], size_t count, const char *words) {
    while (*words) {
        char one[DT_UTF8_SIZE] = "";
        const size_t length = dt_utf8_length(words, strlen(words));
        memcpy(one, words, length);
        words += *words == '%' ? 2 : length; /* a place for a number is no character */
        bool known = one[0] == '%';
        for (size_t i = 0; i < count && !known; i++) known = strcmp(character[i], one) == 0;
        if (!known && count < DT_CHAT_CHARACTERS_MAX) memcpy(character[count++], one, sizeof one);
    }
    return count;
}

size_t dt_chat_characters(char character[DT_CHAT_CHARACTERS_MAX][DT_UTF8_SIZE]) {
    size_t count = 0;
    for (int operation = 0; operation < DT_OPERATIONS; operation++) {
        for (size_t i = 0; i < DT_PHRASINGS; i++) {
            count = add_characters(character, count, table[operation][i].question);
            count = add_characters(character, count, table[operation][i].answer);
        }
    }
    return count;
}
