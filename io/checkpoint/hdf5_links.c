/* Follows the links of HDF5 groups: which objects there are, and under which names. */
#include "hdf5_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "hdf5_bytes.h"
#include "hdf5_header.h"

/* Levels of a B-tree of links; two levels already hold a thousand. */
enum { LEVELS_MAX = 8 };

typedef struct {
    dt_hdf5_file *in;
    char group[DT_STORED_PATH_MAX]; /* "" for the root; a copy, since the list of objects grows */
    const char *const *wanted;      /* names to follow; NULL: all */
    size_t wanted_count;
    char *names; /* the group's local heap */
    size_t names_size;
} links;

static bool is_wanted(const links *l, const char *name) {
    if (!l->wanted) return true;
    for (size_t i = 0; i < l->wanted_count; i++) {
        if (strcmp(name, l->wanted[i]) == 0) return true;
    }
    return false;
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
    return dt_hdf5_header(l->in, load64(entry + 8), path);
}

static dt_status follow(links *l, const unsigned char entry[40]) {
    return dt_hdf5_note(l->in, follow_link(l, entry));
}

/* "SNOD": some of the links of a group. */
static dt_status read_leaf(links *l, uint64_t address) {
    const char *part = l->group[0] ? l->group : "/";
    unsigned char start[8], entry[40];
    DT_TRY(dt_hdf5_metadata(start, l->in, address, sizeof start, part));
    DT_USABLE(memcmp(start, "SNOD\1", 5) == 0, l->in, part, "its list of links is damaged");
    const unsigned entries = load16(start + 6);
    for (unsigned i = 0; i < entries; i++) {
        const uint64_t at = address + sizeof start + i * sizeof entry;
        DT_TRY(dt_hdf5_metadata(entry, l->in, at, sizeof entry, part));
        DT_TRY(follow(l, entry));
    }
    return DT_OK;
}

/* "TREE": keys, which a complete walk does not need, with children between them. */
static dt_status read_tree(links *l, uint64_t address, unsigned level_above) {
    const char *part = l->group[0] ? l->group : "/";
    unsigned char start[24], pair[16];
    DT_TRY(dt_hdf5_metadata(start, l->in, address, sizeof start, part));
    const unsigned level = start[5], children = load16(start + 6);
    DT_USABLE(memcmp(start, "TREE", 5) == 0 && level < level_above, l->in, part,
              "its tree of links is damaged");
    for (unsigned i = 0; i < children; i++) {
        const uint64_t at = address + sizeof start + i * sizeof pair;
        DT_TRY(dt_hdf5_metadata(pair, l->in, at, sizeof pair, part));
        const uint64_t child = load64(pair + 8);
        DT_TRY(level > 0 ? read_tree(l, child, level) : read_leaf(l, child));
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
    return dt_hdf5_metadata(l->names, l->in, load64(start + 24), l->names_size, part);
}

static dt_status read_group(dt_hdf5_file *in, size_t index, const char *const *wanted,
                            size_t wanted_count) {
    links l = {.in = in, .wanted = wanted, .wanted_count = wanted_count};
    const dt_hdf5_object group = in->object[index];
    if (index > 0) memcpy(l.group, group.path, sizeof l.group);
    dt_status status = read_heap(&l, group.heap);
    if (status == DT_OK) status = read_tree(&l, group.tree, LEVELS_MAX);
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
