/* known_layouts.h - the layouts (layouts.h) that saved keys of a part may have: the plan's own, and
 * older ones, of which the store tells before the first key is read.
 *
 * Order of calls: known_open; known_evolve once, or never; known_tell for each that the store has,
 * which may make the plan another one (with a slot more for counts); then known_find for keys.
 * known_close gives back all.
 */
#ifndef FRESHET_WINDOWS_KNOWN_LAYOUTS_H
#define FRESHET_WINDOWS_KNOWN_LAYOUTS_H

#include "windows/layouts.h"

typedef struct known_layouts {
    arena *arena;
    const windows_plan *plan;
    layout_reach reach;
    layout_numbers numbers;
    char *text;  /* of the plan's own; stays where it is */
    uint64_t id; /* of that */
    kept_layout *others;
    uint64_t filled; /* what came in up to this declaration has been filled; 0: nothing */
} known_layouts;

freshet_code known_open(known_layouts *known, const windows_plan *plan, const layout_reach *reach,
                        freshet_error *err);
void known_close(known_layouts *known);

/* The state goes on from one of another declaration: see windows_evolve (windows_state.h). */
freshet_code known_evolve(known_layouts *known, const char *last, uint64_t declared, int64_t newest,
                          const kept_layout **out, freshet_error *err);

/* Notes one that a saved key may have. known->plan is another one behind it where counts got a slot
 * of their own. */
freshet_code known_tell(known_layouts *known, const char *text, freshet_error *err);

/* The layout of that id, which is not the plan's own; NULL where nobody has told of it. */
const kept_layout *known_find(const known_layouts *known, uint64_t id);

/* Until it is taken back, bytes may have that layout, too: of a past that is given to a key. */
void known_lend(known_layouts *known, kept_layout *layout);
void known_take_back(known_layouts *known);

#endif
