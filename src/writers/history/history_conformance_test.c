/* history_conformance_test.c - the history does what every writer must. */
#include "writers/history/history_testing.h"
#include "writers/writer_conformance_testing.h"

static void *make(void)
{
    rig *place = rig_make_folder();
    rig_open_session(place);
    return place;
}

static void free_place(void *self)
{
    rig_free(self);
}

static const char *declare(void *self)
{
    rig *place = self;
    return arena_format(place->arena, "history: {path: \"%s/h\", rows: 8}", place->folder);
}

static void read_files(void *self, freshet_writer *writer, seen_rows *out)
{
    rig *place = self;
    (void)writer;
    if (rig_count_files(place) == 0)
        return;
    const char *line = rig_query(place, "select id, x from " AS_ONE_TABLE);
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned id = IDS;
        double x;
        assert_int_equal(sscanf(line, "{\"id\":%u,\"x\":%lf}", &id, &x), 2);
        assert_in_range(id, 0, IDS - 1);
        out->times[id]++;
        out->x[id] = x;
    }
}

static writer_rig conformance = {.ops = &history_writer_ops,
                                 .make = make,
                                 .free = free_place,
                                 .declare = declare,
                                 .read = read_files,
                                 .breaks = disk_fails};

WRITER_CONFORMANCE(conformance)
