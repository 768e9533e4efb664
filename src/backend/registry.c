/* The table of backends, and the checks when one is opened. */
#include "dtrain/backend/registry.h"

#include <stddef.h>
#include <string.h>

#include "entries.h"

static const dt_backend_entry *const ENTRY[] = {&entry_cpu, &entry_opencl, &entry_blas};
enum { ENTRIES = sizeof ENTRY / sizeof *ENTRY };

size_t dt_backend_count(void) { return ENTRIES; }

const dt_backend_entry *dt_backend_at(size_t i) { return ENTRY[i]; }

const dt_backend_entry *dt_backend_find(const char *name) {
    for (size_t i = 0; i < ENTRIES; i++) {
        if (strcmp(ENTRY[i]->name, name) == 0) return ENTRY[i];
    }
    return NULL;
}

const dt_backend_entry *dt_backend_next(int below) {
    const dt_backend_entry *best = NULL;
    for (size_t i = 0; i < ENTRIES; i++) {
        const int priority = ENTRY[i]->priority;
        if (priority > 0 && priority < below && (!best || priority > best->priority))
            best = ENTRY[i];
    }
    return best;
}

const dt_backend_entry *dt_backend_host(void) {
    for (size_t i = 0; i < ENTRIES; i++) {
        if (ENTRY[i]->host) return ENTRY[i];
    }
    return NULL;
}

/* An operation's name, and the offset of its pointer in the table. */
typedef struct {
    const char *name;
    size_t at;
} operation;

#define OPERATION(name)                                                                            \
    { #name, offsetof(dt_backend_table, name) }
static const operation OPERATIONS[] = {
    OPERATION(close),
    OPERATION(buffer_create),
    OPERATION(buffer_attach),
    OPERATION(buffer_destroy),
    OPERATION(push),
    OPERATION(pull),
    OPERATION(finish),
    OPERATION(upload),
    OPERATION(download),
    OPERATION(fill_zero),
    OPERATION(embed_forward),
    OPERATION(embed_backward),
    OPERATION(turn),
    OPERATION(norm_forward),
    OPERATION(norm_backward),
    OPERATION(linear_forward),
    OPERATION(linear_backward),
    OPERATION(attention_forward),
    OPERATION(attention_backward),
    OPERATION(add),
    OPERATION(dropout),
    OPERATION(loss),
    OPERATION(attention_decode),
};

#define UPDATE(name)                                                                               \
    { #name, offsetof(dt_update_table, name) }
static const operation UPDATES[] = {UPDATE(adamw), UPDATE(muon), UPDATE(momentum), UPDATE(average),
                                    UPDATE(square_sum)};

/* The lists above are as long as the tables. */
enum { WORD = sizeof(void (*)(void)) };
_Static_assert(sizeof OPERATIONS / sizeof *OPERATIONS ==
                   (sizeof(dt_backend_table) - offsetof(dt_backend_table, close)) / WORD,
               "an operation is missing in OPERATIONS");
_Static_assert(sizeof UPDATES / sizeof *UPDATES == sizeof(dt_update_table) / WORD,
               "an operation is missing in UPDATES");

static dt_status check_table(const char *backend, const void *table, const operation *list,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        void (*entry)(void);
        memcpy(&entry, (const char *)table + list[i].at, sizeof entry);
        DT_REQUIRE(entry, DT_ERR_INTERNAL, "the backend %s lacks %s", backend, list[i].name);
    }
    return DT_OK;
}

dt_status dt_backend_check(const dt_backend *backend, bool for_host) {
    const char *name = backend->op->name;
    DT_TRY(check_table(name, backend->op, OPERATIONS, sizeof OPERATIONS / sizeof *OPERATIONS));
    if (!for_host) return DT_OK;
    DT_REQUIRE(backend->update, DT_ERR_INTERNAL, "the backend %s lacks updates of weights", name);
    return check_table(name, backend->update, UPDATES, sizeof UPDATES / sizeof *UPDATES);
}

dt_status dt_backend_open(dt_backend **backend, const dt_backend_entry *entry, size_t local_rank) {
    DT_TRY(entry->open(backend, local_rank));
    const dt_status status = dt_backend_check(*backend, entry->host);
    if (status != DT_OK && (*backend)->op->close) (*backend)->op->close(backend);
    return status;
}
