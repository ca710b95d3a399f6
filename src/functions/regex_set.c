/* regex_set.c - sets of characters: see regex_internal.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "functions/letter_class.h"
#include "functions/regex_internal.h"

#define CHARACTER_MAX 0x10FFFFu

bool set_add(arena *arena, regex_set *set, uint32_t first, uint32_t last)
{
    if ((set->n & (set->n - 1)) == 0) { /* none, or full: its room is a power of two */
        regex_range *ranges =
            arena_alloc(arena, (size_t)(set->n == 0 ? 1 : set->n * 2) * sizeof *ranges);
        if (ranges == NULL)
            return false;
        if (set->n > 0)
            memcpy(ranges, set->ranges, set->n * sizeof *ranges);
        set->ranges = ranges;
    }
    set->ranges[set->n++] = (regex_range){first, last};
    return true;
}

bool set_add_all(arena *arena, regex_set *set, const regex_set *more)
{
    bool done = true;
    for (uint32_t i = 0; done && i < more->n; i++)
        done = set_add(arena, set, more->ranges[i].first, more->ranges[i].last);
    return done;
}

static int compare_ranges(const void *a, const void *b)
{
    uint32_t x = ((const regex_range *)a)->first, y = ((const regex_range *)b)->first;
    return (x > y) - (x < y);
}

static void set_order(regex_set *set)
{
    uint32_t n = 0;
    if (set->n > 1)
        qsort(set->ranges, set->n, sizeof *set->ranges, compare_ranges);
    for (uint32_t i = 0; i < set->n; i++) {
        regex_range range = set->ranges[i];
        if (n > 0 && range.first <= set->ranges[n - 1].last + 1) {
            if (range.last > set->ranges[n - 1].last)
                set->ranges[n - 1].last = range.last;
        } else {
            set->ranges[n++] = range;
        }
    }
    set->n = n;
}

void set_close(regex_set *set)
{
    set_order(set);
    set->low[0] = set->low[1] = 0;
    for (uint32_t i = 0; i < set->n; i++)
        for (uint32_t c = set->ranges[i].first; c <= set->ranges[i].last && c < 128; c++)
            set->low[c >> 6] |= UINT64_C(1) << (c & 63);
}

bool set_negate(arena *arena, regex_set *set)
{
    regex_set others = {.n = 0};
    uint32_t from = 0;
    bool done = true;
    set_order(set);
    for (uint32_t i = 0; done && i < set->n; i++) {
        if (set->ranges[i].first > from)
            done = set_add(arena, &others, from, set->ranges[i].first - 1);
        from = set->ranges[i].last + 1;
    }
    if (done && from <= CHARACTER_MAX)
        done = set_add(arena, &others, from, CHARACTER_MAX);
    *set = others;
    return done;
}

bool set_intersect(arena *arena, regex_set *set, const regex_set *with)
{
    regex_set other = {.n = 0}, one = *set;
    bool done = set_add_all(arena, &other, with) && set_negate(arena, &one) &&
                set_negate(arena, &other) && set_add_all(arena, &one, &other) &&
                set_negate(arena, &one);
    *set = one;
    return done;
}

bool set_add_cases(arena *arena, regex_set *set)
{
    bool done = true;
    set_order(set); /* a class in a class adds its cases again: they must not grow each time */
    uint32_t n = set->n;
    for (uint32_t i = 0; done && i < n; i++)
        for (uint32_t c = set->ranges[i].first; done && c <= set->ranges[i].last && c < 128; c++) {
            uint32_t small = c | 32;
            if (small >= 'a' && small <= 'z')
                done = set_add(arena, set, c ^ 32, c ^ 32);
        }
    return done;
}

typedef struct named_set {
    const char *name;
    regex_range ranges[10];
} named_set;

/* Each closed by a range of zeros behind its first. */
static const named_set named_sets[] = {
    {"d", {{'0', '9'}}},
    {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {"s", {{'\t', '\r'}, {' ', ' '}}},
    {"h",
     {{'\t', '\t'},
      {' ', ' '},
      {0xA0, 0xA0},
      {0x1680, 0x1680},
      {0x180e, 0x180e},
      {0x2000, 0x200a},
      {0x202f, 0x202f},
      {0x205f, 0x205f},
      {0x3000, 0x3000}}},
    {"v", {{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}}},
    {"Lower", {{'a', 'z'}}},
    {"Upper", {{'A', 'Z'}}},
    {"ASCII", {{0, 127}}},
    {"Alpha", {{'A', 'Z'}, {'a', 'z'}}},
    {"Digit", {{'0', '9'}}},
    {"Alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
    {"Punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
    {"Graph", {{'!', '~'}}},
    {"Print", {{' ', '~'}}},
    {"Blank", {{'\t', '\t'}, {' ', ' '}}},
    {"Cntrl", {{0, 31}, {127, 127}}},
    {"XDigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
    {"Space", {{'\t', '\r'}, {' ', ' '}}},
    {"IsDigit", {{'0', '0'}}},
};

static bool add_named(arena *arena, regex_set *set, const named_set *named)
{
    bool done = true;
    for (uint32_t i = 0; done && i < 10 && (i == 0 || named->ranges[i].last != 0); i++)
        done = set_add(arena, set, named->ranges[i].first, named->ranges[i].last);
    return done;
}

bool set_of_letter(arena *arena, regex_set *set, char letter, bool *known)
{
    const char name[2] = {letter, '\0'};
    *known = letter != '\0' && strchr("dwshv", letter) != NULL;
    for (size_t i = 0; *known && i < 5; i++)
        if (strcmp(named_sets[i].name, name) == 0)
            return add_named(arena, set, &named_sets[i]);
    return true;
}

static bool add_category(arena *arena, regex_set *set, const char *category)
{
    uint32_t at = 0, first, last;
    bool done = true;
    while (done && letter_ranges(category, &at, &first, &last))
        done = set_add(arena, set, first, last);
    return done;
}

bool set_of_name(arena *arena, regex_set *set, const char *name, bool *known)
{
    *known = true;
    for (size_t i = 5; i < sizeof named_sets / sizeof *named_sets; i++)
        if (strcmp(named_sets[i].name, name) == 0 && strcmp(name, "IsDigit") != 0)
            return add_named(arena, set, &named_sets[i]);
    const char *category = strncmp(name, "Is", 2) == 0 ? name + 2 : name;
    if (strcmp(name, "IsDigit") == 0)
        category = "Nd";
    if (strcmp(name, "IsLetter") == 0)
        category = "L";
    if (strcmp(name, "IsPunctuation") == 0)
        category = "P";
    *known = strlen(category) <= 2 && letter_is_category(category);
    return !*known || add_category(arena, set, category);
}
