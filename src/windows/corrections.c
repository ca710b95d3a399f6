/* corrections.c - see corrections.h. Rows are counted from the newest, since late rows are mostly
 * near it. */
#include "windows/corrections.h"

#include <assert.h>
#include <string.h>

#include "keyed/cells.h"

#define TIME_BYTES sizeof(int64_t)

bool corrections_keep(const windows_plan *plan, const column *columns, uint64_t row,
                      int64_t event_us, text_buffer *buffer, cell_text *cell)
{
    text_reset(buffer);
    text_append(buffer, (const char *)&event_us, TIME_BYTES);
    for (uint32_t i = 0; i < plan->n_carried; i++)
        cells_put(buffer, &columns[plan->carried[i]], row, false);
    if (buffer->failed)
        return false;
    *cell = text_of(buffer->bytes, (uint32_t)buffer->length);
    return true;
}

/* The event with `back` events behind it: its block, and its number there. */
static const event_block *find_event(const corrections *corrections, uint32_t back, uint32_t *i)
{
    event_place at = events_end(corrections->events, back + 1);
    *i = at.event;
    return events_block(corrections->events, &at);
}

static int64_t second_of_event(const corrections *corrections, uint32_t back)
{
    uint32_t i;
    const event_block *block = find_event(corrections, back, &i);
    return event_time(corrections->walker, block, i);
}

void corrections_begin(corrections *corrections, walker *walker, const events *events,
                       uint32_t behind)
{
    *corrections = (struct corrections){.walker = walker, .events = events, .behind = behind};
    corrections->second = second_of_event(corrections, behind);
    uint32_t oldest = behind;
    while (walker->plan->longest_s >= 0 && oldest + 1 < events->n &&
           second_of_event(corrections, oldest + 1) == corrections->second)
        oldest++;
    corrections->next = oldest + 1;
    corrections->peers_back = UINT32_MAX;
}

/* The further on a row is, the fewer windows of it hold the event: false ends it. */
static bool is_changed(const corrections *corrections, uint32_t back, int64_t second)
{
    const windows_plan *plan = corrections->walker->plan;
    const bool in_time = plan->longest_s >= 0 && second - corrections->second <= plan->longest_s;
    const bool in_rows =
        back < corrections->behind && corrections->behind - back < plan->longest_rows;
    return in_time || in_rows;
}

/* False for an event of which no row is there: it came when rows were not corrected. */
static bool read_row(const corrections *corrections, uint32_t back, old_row *out)
{
    const windows_plan *plan = corrections->walker->plan;
    uint32_t i;
    const event_block *block = find_event(corrections, back, &i);
    const cell_text *cells = block_cells(corrections->walker, block, &plan->slots[plan->row_slot]);
    if (!(block->valid[plan->row_slot] >> i & 1))
        return false;
    const char *bytes = text_bytes(&cells[i]);
    assert(cells[i].length >= TIME_BYTES);
    memcpy(&out->event_us, bytes, TIME_BYTES);
    out->carried = (const unsigned char *)bytes + TIME_BYTES;
    out->carried_end = (const unsigned char *)bytes + cells[i].length;
    return true;
}

/* The next row that the event changes; *is_there tells whether it can be given again. */
static bool next_changed(corrections *corrections, old_row *out, bool *is_there)
{
    if (corrections->next > 0 && corrections->next - 1 == corrections->behind)
        corrections->next--; /* the event's own row */
    if (corrections->next == 0)
        return false;
    const uint32_t back = corrections->next - 1;
    const int64_t second = second_of_event(corrections, back);
    if (!is_changed(corrections, back, second))
        return false;
    if (corrections->peers_back > back) { /* the first of its second */
        corrections->peers_back = back;
        while (corrections->peers_back > 0 &&
               second_of_event(corrections, corrections->peers_back - 1) == second)
            corrections->peers_back--;
    }
    *out = (old_row){.back = back, .peers_back = corrections->peers_back};
    *is_there = read_row(corrections, back, out);
    corrections->next = back;
    return true;
}

bool corrections_next(corrections *corrections, old_row *out)
{
    bool is_there = false;
    while (!is_there)
        if (!next_changed(corrections, out, &is_there))
            return false;
    return true;
}
