/* letter_case.h - letters in their other case, by Unicode, without a locale. */
#ifndef FRESHET_FUNCTIONS_LETTER_CASE_H
#define FRESHET_FUNCTIONS_LETTER_CASE_H

#include <stdbool.h>
#include <stdint.h>

/* The one letter that it becomes; itself where that would be several. */
uint32_t letter_lower(uint32_t letter);
uint32_t letter_upper(uint32_t letter);
uint32_t letter_title(uint32_t letter);

/* All that it becomes, as the sharp s does: how many, at most 3. */
unsigned letter_upper_all(uint32_t letter, uint32_t into[3]);

bool letter_has_case(uint32_t letter);

#endif
