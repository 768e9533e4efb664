/* Names, types and order of everything in a checkpoint, for writing and for reading. For people:
 * io/README.md. */
#ifndef DTRAIN_IO_SCHEMA_H
#define DTRAIN_IO_SCHEMA_H

#include "dtrain/checkpoint/checkpoint.h"
#include "stored.h"

#define DT_CHECKPOINT_FORMAT "dtrain-checkpoint"
/* Of what every program reads, of what has a byte-level BPE, of adapters, and of quantised models.
 */
enum {
    DT_CHECKPOINT_PLAIN = 1,
    DT_CHECKPOINT_BPE = 2,
    DT_CHECKPOINT_ADAPTER = 3,
    DT_CHECKPOINT_QUANTISED = 4,
    DT_CHECKPOINT_VERSION = DT_CHECKPOINT_QUANTISED
};

/* The groups under /; the file's digest covers these and the attributes of / itself. */
enum { DT_CHECKPOINT_GROUPS = 6 };
extern const char *const dt_checkpoint_group[DT_CHECKPOINT_GROUPS];

/* The attributes of / that dtrain writes; others there are of people or of a newer dtrain. */
enum { DT_ROOT_ATTRIBUTES = 9 };
extern const char *const dt_root_attribute[DT_ROOT_ATTRIBUTES];

/* One attribute and its value. */
typedef struct {
    const char *path; /* of the group it belongs to */
    const char *name;
    dt_stored_type type;
    const void *bytes;
    bool optional; /* a file from before the setting existed has none */
} dt_schema_attribute;

typedef dt_status dt_schema_visitor(void *context, const dt_schema_attribute *attribute);

/* Visit every attribute whose value follows from the contents of the checkpoint; stops at the first
 * error. */
dt_status dt_schema_attributes(const dt_checkpoint *checkpoint, dt_schema_visitor *visit,
                               void *context);

/* One value of a struct, by its name in the file. */
typedef struct {
    const char *name;
    dt_stored_type type;
    size_t offset; /* in the struct */
    bool optional; /* files from before it existed have none: NaN, or an empty text */
} dt_field;

/* The attributes of /state: members of dt_run_state. */
enum { DT_STATE_FIELDS = 9 };
extern const dt_field dt_state_field[DT_STATE_FIELDS];

/* Metrics of one sort: 1-D arrays of equal length in the file, rows of structs in memory. */
enum { DT_TABLES = 3, DT_COLUMNS_MAX = 8 + DT_KINDS_MAX };
typedef struct {
    size_t which;
    const char *path; /* "/metrics/train" */
    dt_field column[DT_COLUMNS_MAX];
    size_t columns;
    size_t row_size;
    bool rising;    /* column 0 is a step that grows from row to row */
    int64_t behind; /* and is at least this much less than the number of updates made */
    char kind[DT_KINDS_MAX][64]; /* names of columns: "exact_match_add" */
} dt_table;

/* Table `which` of a checkpoint with these settings. It points into itself: not to be copied. */
void dt_table_describe(dt_table *table, size_t which, const dt_config *config);

/* Rows of a table. */
const void *dt_table_rows(const dt_metrics *metrics, const dt_table *table, size_t *rows);

/* Make room for so many zeroed rows and count them as there. */
dt_status dt_table_resize(void **rows, dt_metrics *metrics, const dt_table *table, size_t count);

/* The blocks with one tensor per parameter of the layout: "/weights", "/optimizer/m",
 * "/optimizer/v", "/optimizer/iterate". */
enum { DT_BLOCKS = 4 };
extern const char *const dt_block_path[DT_BLOCKS];

/* How many of them the checkpoint has, the first ones. */
size_t dt_schema_blocks(const dt_checkpoint *checkpoint);

/* Whether the blocks have a tensor for this parameter: what is frozen beside adapters is in their
 * base. */
bool dt_schema_has(const dt_checkpoint *checkpoint, const dt_parameter *parameter);

/* How a parameter is stored: as a float32 tensor, or, if it is quantised, as a list of bytes. */
typedef struct {
    dt_stored_type type;
    size_t rank;
    size_t extent[DT_STORED_RANK_MAX];
} dt_stored_tensor;
dt_stored_tensor dt_schema_tensor(const dt_parameter *parameter);

#endif
