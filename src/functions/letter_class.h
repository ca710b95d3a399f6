/* letter_class.h - the general categories of Unicode: "L" a letter, "Lu" a capital one, "Nd" ... */
#ifndef FRESHET_FUNCTIONS_LETTER_CLASS_H
#define FRESHET_FUNCTIONS_LETTER_CLASS_H

#include <stdbool.h>
#include <stdint.h>

bool letter_is_category(const char *category);
bool letter_is(uint32_t letter, const char *category);

/* The ranges of a category, one a call: *at is 0 at first. False behind the last. */
bool letter_ranges(const char *category, uint32_t *at, uint32_t *first, uint32_t *last);

#endif
