/* jsonl_conformance_test.c - the writer `jsonl` does what every writer must. */
#include <unistd.h>

#include "writers/jsonl/jsonl.h"
#include "writers/writer_conformance_testing.h"

typedef struct lines_place {
    char path[64], declared[128];
} lines_place;

static void *make(void)
{
    lines_place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    snprintf(place->path, sizeof place->path, "/tmp/freshet-jsonl-XXXXXX");
    close(mkstemp(place->path));
    snprintf(place->declared, sizeof place->declared, "jsonl: {path: %s}", place->path);
    return place;
}

static void free_place(void *self)
{
    unlink(((lines_place *)self)->path);
    free(self);
}

static const char *declare(void *self)
{
    return ((lines_place *)self)->declared;
}

/* Every line is a whole one. */
static void read_lines(void *self, freshet_writer *writer, seen_rows *out)
{
    char line[256];
    FILE *file = fopen(((lines_place *)self)->path, "r");
    (void)writer;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned id = IDS;
        double x;
        char end[3];
        assert_int_equal(sscanf(line,
                                "{\"id\":%u,\"timestamp\":\"1970-01-01T%*[0-9:.]Z\",\"x\":%lf%2s",
                                &id, &x, end),
                         3);
        assert_string_equal(end, "}");
        assert_int_equal(line[strlen(line) - 1], '\n');
        assert_in_range(id, 0, IDS - 1);
        out->times[id]++;
        out->x[id] = x;
    }
    fclose(file);
}

static writer_rig rig = {.ops = &jsonl_writer_ops,
                         .make = make,
                         .free = free_place,
                         .declare = declare,
                         .read = read_lines,
                         .breaks = disk_fails};

WRITER_CONFORMANCE(rig)
