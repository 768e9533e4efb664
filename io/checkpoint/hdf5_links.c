/* Follows the links of HDF5 groups: which objects there are, and under which names. */
#include "hdf5_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "hdf5_bytes.h"
#include "hdf5_header.h"
#include "hdf5_others.h"

/* Levels of a B-tree of links; two levels already hold a thousand. */
enum { LEVELS_MAX = 8 };

/* Bytes of a key and a child. */
enum { PAIR = 16 };

typedef struct {
    dt_hdf5_file *in;
    char group[DT_STORED_PATH_MAX]; /* "" for the root; a copy, since the list of objects grows */
    const char *const *wanted;      /* names to follow; NULL: all */
    size_t wanted_count;
    char *names; /* the group's local heap */
    size_t names_size;
    const char *before; /* the name of the last link */
    uint64_t last[LEVELS_MAX],
        right[LEVELS_MAX]; /* node of each level, and the one that it says follows */
} links;

/* A range of names in which the links below a node are: beyond `low`, up to `high`. NULL: unknown.
 */
typedef struct {
    const char *low, *high;
} name_range;

static bool is_wanted(const links *l, const char *name) {
    if (!l->wanted) return true;
    for (size_t i = 0; i < l->wanted_count; i++) {
        if (strcmp(name, l->wanted[i]) == 0) return true;
    }
    return false;
}

/* What stands at an offset in the list of names; NULL: no text. */
static const char *text_at(const links *l, uint64_t offset) {
    if (offset >= l->names_size) return NULL;
    const char *text = l->names + offset;
    return memchr(text, '\0', l->names_size - (size_t)offset) ? text : NULL;
}

/* One link: offset of its name, address of the object, and what kind of link it is. */
static dt_status follow_link(links *l, const unsigned char entry[40]) {
    enum { SOFT_LINK = 2 };
    const uint64_t offset = load64(entry);
    const char *part = l->group[0] ? l->group : "/";
    DT_USABLE(offset < l->names_size, l->in, part, "the name of a link is cut off");
    const char *name = l->names + offset;
    const bool proper = is_name(name, l->names_size - (size_t)offset);
    if (l->wanted && !(proper && is_wanted(l, name))) return DT_OK;
    DT_USABLE(proper, l->in, part, "a link without a proper name");
    char path[2 * DT_STORED_PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s/%s", l->group, name);
    DT_USABLE(length > 0 && length < DT_STORED_PATH_MAX, l->in, part, "a name that is too long");
    DT_USABLE(load32(entry + 16) != SOFT_LINK, l->in, path,
              "a symbolic link, which dtrain never follows");
    DT_TRY(dt_hdf5_header(l->in, load64(entry + 8), path));
    return dt_hdf5_others_link(l->in, entry, &l->in->object[l->in->objects - 1]);
}

static dt_status follow(links *l, const unsigned char entry[40]) {
    return dt_hdf5_note(l->in, follow_link(l, entry));
}

/* Others look a name up by halves. */
static dt_status check_order(links *l, uint64_t offset, name_range range) {
    const char *part = l->group[0] ? l->group : "/", *name = text_at(l, offset);
    const bool in_order = name && (!l->before || strcmp(l->before, name) < 0) && range.low &&
                          strcmp(range.low, name) < 0 && range.high &&
                          strcmp(name, range.high) <= 0;
    DT_OTHERS_NEED(in_order, l->in, part, "its links are not in the order of their names");
    l->before = name;
    return DT_OK;
}

/* "SNOD": some of the links of a group. */
static dt_status read_leaf(links *l, uint64_t address, name_range range) {
    const char *part = l->group[0] ? l->group : "/";
    unsigned char start[8], entry[40];
    DT_TRY(dt_hdf5_metadata(start, l->in, address, sizeof start, part));
    DT_USABLE(memcmp(start, "SNOD\1", 5) == 0, l->in, part, "its list of links is damaged");
    const unsigned entries = load16(start + 6);
    for (unsigned i = 0; i < entries; i++) {
        const uint64_t at = address + sizeof start + i * sizeof entry;
        DT_TRY(dt_hdf5_metadata(entry, l->in, at, sizeof entry, part));
        DT_TRY(check_order(l, load64(entry), range));
        DT_TRY(follow(l, entry));
    }
    return DT_OK;
}

/* range with NULL: all names. */
static bool is_within(const name_range *below, const name_range *range) {
    return below->low && below->high && (!range->low || strcmp(range->low, below->low) <= 0) &&
           (!range->high || strcmp(below->high, range->high) <= 0);
}

/* The nodes of a level are chained. */
static dt_status check_chain(links *l, uint64_t address, unsigned level, uint64_t left,
                             uint64_t right) {
    const char *part = l->group[0] ? l->group : "/";
    const bool first = l->last[level] == DT_HDF5_NOWHERE;
    DT_OTHERS_NEED(left == l->last[level] && (first || l->right[level] == address), l->in, part,
                   "its tree of links is damaged: a node has other neighbours");
    l->last[level] = address;
    l->right[level] = right;
    return DT_OK;
}

static dt_status end_chains(const links *l) {
    const char *part = l->group[0] ? l->group : "/";
    for (unsigned level = 0; level < LEVELS_MAX; level++) {
        DT_OTHERS_NEED(l->right[level] == DT_HDF5_NOWHERE, l->in, part,
                       "its tree of links is damaged: a node is missing");
    }
    return DT_OK;
}

/* "TREE": keys, which a complete walk does not need, with children between them. */
static dt_status read_tree(links *l, uint64_t address, unsigned level_above, name_range range) {
    const char *part = l->group[0] ? l->group : "/";
    unsigned char start[24], pair[PAIR + 8] = {0};
    DT_TRY(dt_hdf5_metadata(start, l->in, address, sizeof start, part));
    const unsigned level = start[5], children = load16(start + 6);
    DT_USABLE(memcmp(start, "TREE", 5) == 0 && level < level_above, l->in, part,
              "its tree of links is damaged");
    DT_TRY(check_chain(l, address, level, load64(start + 8), load64(start + 16)));
    for (unsigned i = 0; i < children; i++) {
        const uint64_t at = address + sizeof start + i * (uint64_t)PAIR;
        DT_TRY(dt_hdf5_metadata(pair, l->in, at, PAIR, part));
        /* The key behind it is read once more, with the next child. */
        if (l->in->notes)
            DT_TRY(dt_hdf5_read_at(pair + PAIR, l->in, at + PAIR, sizeof pair - PAIR, part));
        const uint64_t child = load64(pair + 8);
        const name_range below = {text_at(l, load64(pair)), text_at(l, load64(pair + PAIR))};
        DT_OTHERS_NEED(is_within(&below, &range), l->in, part,
                       "its tree of links is damaged: its keys are not in order");
        DT_TRY(level > 0 ? read_tree(l, child, level, below) : read_leaf(l, child, below));
    }
    return DT_OK;
}

/* "HEAP": the names of a group's links. */
static dt_status read_heap(links *l, uint64_t address) {
    const char *part = l->group[0] ? l->group : "/";
    unsigned char start[32];
    DT_TRY(dt_hdf5_metadata(start, l->in, address, sizeof start, part));
    const uint64_t size = load64(start + 8);
    DT_USABLE(memcmp(start, "HEAP", 5) == 0 && size > 0, l->in, part,
              "its list of names is damaged");
    DT_USABLE(size <= l->in->unread, l->in, part,
              "its list of names is larger than the file, or parts of the file overlap");
    l->names_size = (size_t)size;
    DT_TRY(dt_memory_alloc(&l->names, l->names_size, 1, "names"));
    DT_TRY(dt_hdf5_metadata(l->names, l->in, load64(start + 24), l->names_size, part));
    return dt_hdf5_others_heap(l->in, part, start, l->names, l->names_size);
}

static dt_status read_group(dt_hdf5_file *in, size_t index, const char *const *wanted,
                            size_t wanted_count) {
    links l = {.in = in, .wanted = wanted, .wanted_count = wanted_count};
    const dt_hdf5_object group = in->object[index];
    if (index > 0) memcpy(l.group, group.path, sizeof l.group);
    for (unsigned i = 0; i < LEVELS_MAX; i++) l.last[i] = l.right[i] = DT_HDF5_NOWHERE;
    dt_status status = read_heap(&l, group.heap);
    if (status == DT_OK) status = read_tree(&l, group.tree, LEVELS_MAX, (name_range){NULL, NULL});
    if (status == DT_OK) status = end_chains(&l);
    dt_memory_free(&l.names);
    return dt_hdf5_note(in, status);
}

static int compare_objects(const void *x, const void *y) {
    return strcmp(((const dt_hdf5_object *)x)->path, ((const dt_hdf5_object *)y)->path);
}

/* Objects are sorted by now. */
static dt_status check_name(const dt_hdf5_file *in, size_t i) {
    DT_USABLE(strcmp(in->object[i - 1].path, in->object[i].path) != 0, in, in->object[i].path,
              "is there twice");
    return DT_OK;
}

dt_status dt_hdf5_walk(dt_hdf5_file *in, const char *const *group, size_t groups) {
    DT_TRY(read_group(in, 0, group, groups));
    /* The list grows during the loop: breadth first, without recursion. */
    for (size_t i = 1; i < in->objects; i++) {
        if (in->object[i].group) DT_TRY(read_group(in, i, NULL, 0));
    }
    qsort(in->object, in->objects, sizeof *in->object, compare_objects);
    for (size_t i = 1; i < in->objects; i++) {
        DT_TRY(dt_hdf5_note(in, check_name(in, i)));
    }
    return DT_OK;
}
