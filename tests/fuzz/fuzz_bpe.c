/* Fuzzes tokenizers of others: what is taken encodes any text to tokens that are that text. */
#include "fuzz.h"

#include <string.h>

#include "dtrain/bpe/file.h"

/* Encode these bytes, as one text and in pieces. */
static void encode(const dt_bpe *bpe, const char *text, size_t length, bool added) {
    int32_t *id = malloc((length + 1) * sizeof *id);
    size_t count, at = 0, more;
    MUST(id && dt_bpe_encode(id, length, &count, bpe, text, length, added) == DT_OK);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = dt_bpe_bytes(&size, bpe, id[i]);
        MUST(bytes && size <= length - at && memcmp(bytes, text + at, size) == 0);
        at += size;
    }
    MUST(at == length);
    const size_t settled = dt_bpe_settled(bpe, text, length / 2, added);
    MUST(settled <= length / 2);
    int32_t *parts = malloc((length + 1) * sizeof *parts);
    MUST(parts && dt_bpe_encode(parts, length, &at, bpe, text, settled, added) == DT_OK);
    MUST(dt_bpe_encode(parts + at, length - at, &more, bpe, text + settled, length - settled,
                       added) == DT_OK);
    MUST(at + more == count && memcmp(id, parts, count * sizeof *id) == 0);
    free(parts);
    free(id);
}

static void write_again(const dt_bpe *bpe) {
    char *text;
    size_t size;
    dt_bpe *again;
    FILE *out = open_memstream(&text, &size);
    MUST(out);
    dt_bpe_write(out, bpe);
    MUST(fclose(out) == 0);
    MUST(dt_bpe_parse(&again, text, size, "again") == DT_OK && dt_bpe_equal(bpe, again));
    dt_bpe_destroy(&again);
    free(text);
}

/* A tokenizer.json; or a vocab.json, byte 0 and a merges.txt. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *zero = memchr(text, 0, size);
    dt_bpe *bpe;
    const dt_status status = zero ? dt_bpe_parse_pair(&bpe, text, (size_t)(zero - text), zero + 1,
                                                      size - (size_t)(zero - text) - 1, "pair")
                                  : dt_bpe_parse(&bpe, text, size, "json");
    MUST(status == DT_OK || status == DT_ERR_DATA);
    MUST(!bpe == (status != DT_OK));
    if (bpe) {
        write_again(bpe);
        encode(bpe, text, size, true);
        encode(bpe, text, size, false);
        dt_bpe_destroy(&bpe);
    }
    free(text);
    return 0;
}
