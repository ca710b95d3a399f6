/* spark_texts.c - Spark's functions of texts. Positions count characters from 1. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "functions/letter_case.h"
#include "functions/letter_class.h"
#include "functions/spark_cells.h"

/* ---- parts ----------------------------------------------------------------------------------- */

/* The characters from `begin` (0 is the first, less is before it) to before `end`. */
static void give_part(row_call *call, const cell_text *text, int64_t begin, int64_t end)
{
    const char *bytes = text_bytes(text);
    if (end <= begin || end <= 0) {
        give_text_there(call, "", 0);
        return;
    }
    if (begin < 0)
        begin = 0;
    size_t from = character_at(bytes, text->length, begin);
    size_t n = character_at(bytes + from, text->length - from, end - begin);
    give_text_there(call, bytes + from, n);
}

static void call_substring(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int64_t at = int_at(call, 1), n = int_at(call, 2), begin = at > 0 ? at - 1 : 0;
    if (at < 0)
        begin = count_characters(text_bytes(text), text->length) + at;
    give_part(call, text, begin, begin + n);
}

static void call_left(row_call *call)
{
    give_part(call, text_at(call, 0), 0, int_at(call, 1));
}

static void call_right(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int64_t length = count_characters(text_bytes(text), text->length), n = int_at(call, 1);
    give_part(call, text, n <= 0 ? length : length - n, length);
}

static void call_substring_index(row_call *call)
{
    const cell_text *text = text_at(call, 0), *part = text_at(call, 1);
    const char *bytes = text_bytes(text), *mark = text_bytes(part);
    int64_t n = int_at(call, 2), at = 0;
    if (n == 0 || part->length == 0) {
        give_text_there(call, "", 0);
        return;
    }
    if (n > 0) {
        for (at = -1; n > 0; n--) {
            at = find_bytes(bytes, text->length, (size_t)(at + 1), mark, part->length);
            if (at < 0)
                break;
        }
        give_text_there(call, bytes, at < 0 ? text->length : (size_t)at);
        return;
    }
    for (at = (int64_t)text->length - part->length + 1; n < 0 && at >= 0; n++)
        for (at--; at >= 0; at--)
            if (memcmp(bytes + at, mark, part->length) == 0)
                break;
    size_t begin = at < 0 ? 0 : (size_t)at + part->length;
    give_text_there(call, bytes + begin, text->length - begin);
}

static void call_split_part(row_call *call)
{
    const cell_text *text = text_at(call, 0), *mark = text_at(call, 1);
    const char *bytes = text_bytes(text);
    int64_t n = int_at(call, 2), parts = 1, at = 0, found;
    if (n == 0) {
        fail_row(call, "split_part takes part 0: the first is 1, the last -1");
        return;
    }
    if (mark->length == 0) {
        give_text_there(call, bytes, n == 1 || n == -1 ? text->length : 0);
        return;
    }
    for (; (at = find_bytes(bytes, text->length, (size_t)at, text_bytes(mark), mark->length)) >= 0;
         at += mark->length)
        parts++;
    if (n < 0)
        n += parts + 1;
    at = 0;
    for (int64_t i = 1; i <= n && i <= parts; i++) {
        found = find_bytes(bytes, text->length, (size_t)at, text_bytes(mark), mark->length);
        if (i == n) {
            give_text_there(call, bytes + at,
                            (size_t)((found < 0 ? (int64_t)text->length : found) - at));
            return;
        }
        at = found + mark->length;
    }
    give_text_there(call, "", 0);
}

static void call_overlay(row_call *call)
{
    const cell_text *text = text_at(call, 0), *with = text_at(call, 1);
    const char *bytes = text_bytes(text);
    int64_t at = int_at(call, 2), n = int_at(call, 3);
    if (n < 0)
        n = count_characters(text_bytes(with), with->length);
    /* Spark puts the parts of two substrings together */
    int64_t begin = at > 1 ? at - 1 : 0, behind = at + n;
    if (at <= 0) /* what its substring gives for a place before the first */
        begin = 0;
    size_t first = character_at(bytes, text->length, begin);
    int64_t rest_from = behind > 0   ? behind - 1
                        : behind < 0 ? count_characters(bytes, text->length) + behind
                                     : 0;
    size_t rest = character_at(bytes, text->length, rest_from < 0 ? 0 : rest_from);
    char *made = made_memory(call, (uint64_t)first + with->length + text->length - rest);
    if (made == NULL)
        return;
    memcpy(made, bytes, first);
    memcpy(made + first, text_bytes(with), with->length);
    memcpy(made + first + with->length, bytes + rest, text->length - rest);
    give_text_there(call, made, first + with->length + text->length - rest);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void call_instr(row_call *call)
{
    const cell_text *text = text_at(call, 0), *part = text_at(call, 1);
    int64_t at = find_bytes(text_bytes(text), text->length, 0, text_bytes(part), part->length);
    give_int(call, at < 0 ? 0 : count_characters(text_bytes(text), (size_t)at) + 1);
}

/* locate(part, text, from): nulls in this order. */
static void call_locate(row_call *call)
{
    if (!has(call, 2)) {
        give_int(call, 0);
        return;
    }
    if (!has(call, 0) || !has(call, 1)) {
        give_null(call);
        return;
    }
    const cell_text *part = text_at(call, 0), *text = text_at(call, 1);
    int64_t from = int_at(call, 2), at = -1;
    if (from < 1) {
        give_int(call, 0);
    } else if (part->length == 0) {
        give_int(call, 1);
    } else {
        size_t begin = character_at(text_bytes(text), text->length, from - 1);
        at = find_bytes(text_bytes(text), text->length, begin, text_bytes(part), part->length);
        give_int(call, at < 0 ? 0 : count_characters(text_bytes(text), (size_t)at) + 1);
    }
}

static void call_find_in_set(row_call *call)
{
    const cell_text *word = text_at(call, 0), *set = text_at(call, 1);
    const char *at = text_bytes(set), *end = at + set->length;
    int32_t n = 1;
    if (memchr(text_bytes(word), ',', word->length) != NULL) {
        give_int(call, 0);
        return;
    }
    for (;; n++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t length = (size_t)((comma == NULL ? end : comma) - at);
        if (length == word->length && memcmp(at, text_bytes(word), length) == 0)
            break;
        if (comma == NULL) {
            n = 0;
            break;
        }
        at = comma + 1;
    }
    give_int(call, n);
}

static void call_ascii(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *at = text_bytes(text);
    uint32_t c = text->length == 0 ? 0 : take_character(&at, at + text->length);
    give_int(call, (int32_t)c);
}

static void call_chr(row_call *call)
{
    int64_t n = long_at(call, 0);
    char bytes[4];
    if (n < 0)
        give_text_there(call, "", 0);
    else
        give_text(call, bytes, write_character((uint32_t)(n & 0xFF), bytes));
}

/* ---- making longer --------------------------------------------------------------------------- */

static void pad(row_call *call, bool before)
{
    const cell_text *text = text_at(call, 0), *with = text_at(call, 2);
    const char *bytes = text_bytes(text), *fill = text_bytes(with);
    int64_t n = int_at(call, 1), has_n = count_characters(bytes, text->length);
    if (n <= has_n || with->length == 0) {
        give_part(call, text, 0, n);
        return;
    }
    int64_t missing = n - has_n, whole = missing / count_characters(fill, with->length);
    size_t rest = character_at(fill, with->length, missing % count_characters(fill, with->length));
    uint64_t added = (uint64_t)whole * with->length + rest;
    char *made = made_memory(call, added + text->length);
    if (made == NULL)
        return;
    char *at = made;
    if (!before) {
        memcpy(at, bytes, text->length);
        at += text->length;
    }
    for (int64_t i = 0; i < whole; i++, at += with->length)
        memcpy(at, fill, with->length);
    memcpy(at, fill, rest);
    if (before)
        memcpy(at + rest, bytes, text->length);
    give_text_there(call, made, added + text->length);
}

static void call_lpad(row_call *call)
{
    pad(call, true);
}

static void call_rpad(row_call *call)
{
    pad(call, false);
}

static void call_repeat(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int64_t n = int_at(call, 1);
    uint64_t size = n <= 0 ? 0 : (uint64_t)n * text->length;
    char *made = made_memory(call, size);
    for (uint64_t at = 0; made != NULL && at < size; at += text->length)
        memcpy(made + at, text_bytes(text), text->length);
    if (made != NULL)
        give_text_there(call, made, size);
}

/* concat_ws: values and arrays of values, as text; those that are null are left out. */
static void call_concat_ws(row_call *call)
{
    growing into = {.call = call};
    bool any = false;
    if (!has(call, 0)) {
        give_null(call);
        return;
    }
    const cell_text *between = text_at(call, 0);
    for (uint32_t i = 1; i < call->in->schema.n_fields; i++) {
        const column *column = &call->in->columns[i];
        if (!has(call, i))
            continue;
        cell_span span = {call->row, 1};
        if (column->type->kind == TYPE_ARRAY) {
            span = ((const cell_span *)column->data)[call->row];
            column = &column->children[0];
        }
        for (uint64_t k = span.offset; k < span.offset + span.length; k++) {
            if (!column_is_valid(column, k))
                continue;
            if (any)
                put(&into, text_bytes(between), between->length);
            put_cell(&into, column, k);
            any = true;
        }
    }
    give_growing(&into);
}

/* ---- other letters --------------------------------------------------------------------------- */

static void call_upper(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *at = text_bytes(text), *end = at + text->length;
    char *made = made_memory(call, (uint64_t)text->length * 3 + 8), *into = made;
    while (made != NULL && at < end) {
        uint32_t letters[3];
        if ((unsigned char)*at < 0x80) {
            *into++ = (char)letter_upper((unsigned char)*at++);
            continue;
        }
        unsigned n = letter_upper_all(take_character(&at, end), letters);
        for (unsigned i = 0; i < n; i++)
            into += write_character(letters[i], into);
    }
    if (made != NULL)
        give_text_there(call, made, (size_t)(into - made));
}

/* The sigma at a word's end: behind a letter with case, and before none. */
static bool is_final_sigma(const char *text, const char *sigma, const char *behind, const char *end)
{
    bool before = false, after = false;
    for (const char *at = text; at < sigma;) {
        uint32_t c = take_character(&at, sigma);
        if (letter_has_case(c))
            before = true;
        else if (!letter_is(c, "M") && !letter_is(c, "Cf") && c != '\'' && c != '.' && c != ':')
            before = false;
    }
    while (behind < end && !after) {
        uint32_t c = take_character(&behind, end);
        if (letter_has_case(c))
            after = true;
        else if (!letter_is(c, "M") && !letter_is(c, "Cf") && c != '\'' && c != '.' && c != ':')
            break;
    }
    return before && !after;
}

/* In small letters, into memory of the call. */
static char *make_lower(row_call *call, const cell_text *text, size_t *length)
{
    const char *at = text_bytes(text), *end = at + text->length;
    char *made = made_memory(call, (uint64_t)text->length * 2 + 8), *into = made;
    while (made != NULL && at < end) {
        const char *from = at;
        if ((unsigned char)*at < 0x80) {
            *into++ = (char)letter_lower((unsigned char)*at++);
            continue;
        }
        uint32_t c = take_character(&at, end);
        if (c == 0x130) { /* I with a dot above: the dot stays */
            *into++ = 'i';
            into += write_character(0x307, into);
        } else if (c == 0x3A3) {
            into += write_character(is_final_sigma(text_bytes(text), from, at, end) ? 0x3C2 : 0x3C3,
                                    into);
        } else {
            into += write_character(letter_lower(c), into);
        }
    }
    if (made != NULL)
        *length = (size_t)(into - made);
    return made;
}

static void call_lower(row_call *call)
{
    size_t length;
    const char *made = make_lower(call, text_at(call, 0), &length);
    if (made != NULL)
        give_text_there(call, made, length);
}

/* Words begin behind a blank, and nowhere else. */
static void call_initcap(row_call *call)
{
    size_t length;
    char *lower = make_lower(call, text_at(call, 0), &length);
    char *made = lower == NULL ? NULL : made_memory(call, (uint64_t)length * 2 + 8), *into = made;
    bool begins = true;
    for (const char *at = lower, *end = at + (made == NULL ? 0 : length); at < end;) {
        uint32_t c = take_character(&at, end);
        into += write_character(begins ? letter_title(c) : c, into);
        begins = c == ' ';
    }
    if (made != NULL)
        give_text_there(call, made, (size_t)(into - made));
}

/* ---- characters ------------------------------------------------------------------------------ */

static void call_reverse(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    char *made = made_memory(call, text->length);
    const char *bytes = text_bytes(text);
    for (size_t at = 0; made != NULL && at < text->length;) {
        unsigned n = character_length((unsigned char)bytes[at]);
        if (at + n > text->length)
            n = 1;
        memcpy(made + text->length - at - n, bytes + at, n);
        at += n;
    }
    if (made != NULL)
        give_text_there(call, made, text->length);
}

static bool holds(const cell_text *characters, const char *one, size_t length)
{
    return length > 0 && memmem(text_bytes(characters), characters->length, one, length) != NULL;
}

static void trim(row_call *call, bool before, bool behind)
{
    const cell_text *text = text_at(call, 0), *what = text_at(call, 1);
    const char *begin = text_bytes(text), *end = begin + text->length;
    while (before && begin < end) {
        size_t n = character_length((unsigned char)*begin);
        if (n > (size_t)(end - begin) || !holds(what, begin, n))
            break;
        begin += n;
    }
    while (behind && begin < end) {
        const char *last = end - 1;
        while (last > begin && ((unsigned char)*last & 0xC0) == 0x80)
            last--;
        if (!holds(what, last, (size_t)(end - last)))
            break;
        end = last;
    }
    give_text_there(call, begin, (size_t)(end - begin));
}

static void call_trim(row_call *call)
{
    trim(call, true, true);
}

static void call_ltrim(row_call *call)
{
    trim(call, true, false);
}

static void call_rtrim(row_call *call)
{
    trim(call, false, true);
}

/* Of two equal characters in `from`, the first counts; those without a partner in `to` go. */
static void call_translate(row_call *call)
{
    const cell_text *text = text_at(call, 0), *from = text_at(call, 1), *to = text_at(call, 2);
    const char *at = text_bytes(text), *end = at + text->length;
    char *made = made_memory(call, (uint64_t)text->length * 4 + 4), *into = made;
    while (made != NULL && at < end) {
        uint32_t c = take_character(&at, end), becomes = c;
        const char *f = text_bytes(from), *f_end = f + from->length;
        const char *t = text_bytes(to), *t_end = t + to->length;
        bool found = false, gone = false;
        while (!found && f < f_end) {
            found = take_character(&f, f_end) == c;
            gone = found && t == t_end;
            uint32_t other = t < t_end ? take_character(&t, t_end) : 0;
            if (found)
                becomes = other;
        }
        if (!gone)
            into += write_character(becomes, into);
    }
    if (made != NULL)
        give_text_there(call, made, (size_t)(into - made));
}

static void call_replace(row_call *call)
{
    const cell_text *text = text_at(call, 0), *what = text_at(call, 1), *with = text_at(call, 2);
    const char *bytes = text_bytes(text);
    int64_t n = 0, at = 0;
    while (what->length > 0 && (at = find_bytes(bytes, text->length, (size_t)at, text_bytes(what),
                                                what->length)) >= 0) {
        n++;
        at += what->length;
    }
    char *made = n == 0 ? NULL
                        : made_memory(call, text->length - (uint64_t)n * what->length +
                                                (uint64_t)n * with->length);
    if (n == 0)
        give_text_there(call, bytes, text->length);
    if (made == NULL)
        return;
    char *into = made;
    int64_t done = 0;
    for (; n > 0; n--) {
        at = find_bytes(bytes, text->length, (size_t)done, text_bytes(what), what->length);
        memcpy(into, bytes + done, (size_t)(at - done));
        into += at - done;
        memcpy(into, text_bytes(with), with->length);
        into += with->length;
        done = at + what->length;
    }
    memcpy(into, bytes + done, text->length - (size_t)done);
    give_text_there(call, made, (size_t)(into - made) + text->length - (size_t)done);
}

/* mask(text, upper, lower, digit, other): a null leaves the characters of its kind. */
static void call_mask(row_call *call)
{
    if (!has(call, 0)) {
        give_null(call);
        return;
    }
    const cell_text *text = text_at(call, 0);
    const char *at = text_bytes(text), *end = at + text->length;
    char *made = made_memory(call, (uint64_t)text->length * 4 + 4), *into = made;
    while (made != NULL && at < end) {
        uint32_t c = take_character(&at, end);
        uint32_t kind = letter_is(c, "Lu")   ? 1
                        : letter_is(c, "Ll") ? 2
                        : letter_is(c, "Nd") ? 3
                                             : 4;
        if (has(call, kind)) {
            const cell_text *with = text_at(call, kind);
            const char *one = text_bytes(with);
            if (count_characters(one, with->length) != 1) {
                fail_row(call, "mask takes single characters, not \"%.*s\"", (int)with->length,
                         one);
                return;
            }
            c = take_character(&one, one + with->length);
        }
        into += write_character(c, into);
    }
    if (made != NULL)
        give_text_there(call, made, (size_t)(into - made));
}

/* ---- words ----------------------------------------------------------------------------------- */

static void call_soundex(row_call *call)
{
    /* 0 separates equal codes, 7 (H, W) does not */
    static const char codes[] = "01230127022455012623017202";
    const cell_text *text = text_at(call, 0);
    const char *bytes = text_bytes(text);
    char made[4] = {'0', '0', '0', '0'};
    unsigned char first = text->length == 0 ? 0 : (unsigned char)bytes[0];
    if (first >= 'a' && first <= 'z')
        first -= 32;
    if (first < 'A' || first > 'Z') {
        give_text_there(call, bytes, text->length);
        return;
    }
    made[0] = (char)first;
    char last = codes[first - 'A'];
    for (size_t i = 1, n = 1; i < text->length && n < 4; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 'a' && c <= 'z')
            c -= 32;
        if (c < 'A' || c > 'Z') {
            last = '0';
            continue;
        }
        char code = codes[c - 'A'];
        if (code == '7')
            continue;
        if (code != '0' && code != last)
            made[n++] = code;
        last = code;
    }
    give_text(call, made, 4);
}

static void call_levenshtein(row_call *call)
{
    const cell_text *a = text_at(call, 0), *b = text_at(call, 1);
    int32_t n = count_characters(text_bytes(b), b->length);
    if ((uint64_t)a->length * b->length > 100000000) {
        fail_row(call, "levenshtein of texts of %u and %u bytes takes too long", a->length,
                 b->length);
        return;
    }
    int32_t *row = call_memory(call, ((size_t)n + 1) * sizeof *row);
    if (row == NULL)
        return;
    for (int32_t j = 0; j <= n; j++)
        row[j] = j;
    const char *at = text_bytes(a), *a_end = at + a->length;
    for (int32_t i = 1; at < a_end; i++) {
        uint32_t c = take_character(&at, a_end);
        const char *of_b = text_bytes(b), *b_end = of_b + b->length;
        int32_t corner = row[0];
        row[0] = i;
        for (int32_t j = 1; j <= n; j++) {
            int32_t above = row[j], best = corner + (take_character(&of_b, b_end) != c);
            best = above + 1 < best ? above + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = above;
        }
    }
    int32_t most = int_at(call, 2);
    give_int(call, most >= 0 && row[n] > most ? -1 : row[n]);
}

/* elt(n, a, b ...) */
static void call_elt(row_call *call)
{
    int64_t n = has(call, 0) ? int_at(call, 0) : 0;
    if (n < 1 || n >= call->in->schema.n_fields || !has(call, (uint32_t)n) ||
        call->in->columns[n].type->kind != TYPE_STRING)
        give_null(call);
    else
        give_text_there(call, text_bytes(text_at(call, (uint32_t)n)),
                        text_at(call, (uint32_t)n)->length);
}

static void call_luhn_check(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    uint32_t sum = 0;
    bool is_second = false;
    for (uint32_t i = text->length; i-- > 0; is_second = !is_second) {
        char c = text_bytes(text)[i];
        if (c < '0' || c > '9') {
            give_boolean(call, false);
            return;
        }
        uint32_t digit = (uint32_t)(c - '0') << is_second;
        sum += digit > 9 ? digit - 9 : digit;
    }
    give_boolean(call, text->length > 0 && sum % 10 == 0);
}

const sql_function spark_texts[] = {
    {SPARK_ROWS("spark_substring", "string", call_substring),
     .arguments = {"string", "integer", "integer"}},
    {SPARK_ROWS("spark_left", "string", call_left), .arguments = {"string", "integer"}},
    {SPARK_ROWS("spark_right", "string", call_right), .arguments = {"string", "integer"}},
    /* what stands before the n-th mark, or behind the n-th from the end */
    {SPARK_ROWS("spark_substring_index", "string", call_substring_index),
     .arguments = {"string", "string", "integer"}},
    {SPARK_ROWS("spark_split_part", "string", call_split_part),
     .arguments = {"string", "string", "integer"}},
    /* text, with, from, length or -1 for that of `with` */
    {SPARK_ROWS("spark_overlay", "string", call_overlay),
     .arguments = {"string", "string", "integer", "integer"}},
    {SPARK_ROWS("spark_instr", "integer", call_instr), .arguments = {"string", "string"}},
    {SPARK_ROWS_NULLS("spark_locate", "integer", call_locate),
     .arguments = {"string", "string", "integer"}},
    {SPARK_ROWS("spark_find_in_set", "integer", call_find_in_set),
     .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_ascii", "integer", call_ascii), .arguments = {"string"}},
    {SPARK_ROWS("spark_chr", "string", call_chr), .arguments = {"bigint"}},
    {SPARK_ROWS("spark_lpad", "string", call_lpad), .arguments = {"string", "integer", "string"}},
    {SPARK_ROWS("spark_rpad", "string", call_rpad), .arguments = {"string", "integer", "string"}},
    {SPARK_ROWS("spark_repeat", "string", call_repeat), .arguments = {"string", "integer"}},
    /* the separator, then texts and arrays of texts */
    {SPARK_ROWS_NULLS("spark_concat_ws", "string", call_concat_ws), .is_variadic = true,
     .arguments = {"string", SQL_ANY}},
    {SPARK_ROWS("spark_upper", "string", call_upper), .arguments = {"string"}},
    {SPARK_ROWS("spark_lower", "string", call_lower), .arguments = {"string"}},
    {SPARK_ROWS("spark_initcap", "string", call_initcap), .arguments = {"string"}},
    {SPARK_ROWS("spark_reverse", "string", call_reverse), .arguments = {"string"}},
    /* the text, and the characters that go */
    {SPARK_ROWS("spark_trim", "string", call_trim), .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_ltrim", "string", call_ltrim), .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_rtrim", "string", call_rtrim), .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_translate", "string", call_translate),
     .arguments = {"string", "string", "string"}},
    {SPARK_ROWS("spark_replace", "string", call_replace),
     .arguments = {"string", "string", "string"}},
    {SPARK_ROWS_NULLS("spark_mask", "string", call_mask),
     .arguments = {"string", "string", "string", "string", "string"}},
    {SPARK_ROWS("spark_soundex", "string", call_soundex), .arguments = {"string"}},
    /* -1 where it is more than the third argument; that is -1 for no limit */
    {SPARK_ROWS("spark_levenshtein", "integer", call_levenshtein),
     .arguments = {"string", "string", "integer"}},
    {SPARK_ROWS_NULLS("spark_elt", "string", call_elt), .is_variadic = true,
     .arguments = {"integer", SQL_ANY}},
    {SPARK_ROWS("spark_luhn_check", "boolean", call_luhn_check), .arguments = {"string"}},
    {.name = NULL},
};
