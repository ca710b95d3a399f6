/* zone.c - time zones: offsets as written, and regions from the system's time zone database.
 *
 * A region is a TZif file (RFC 8536) below /usr/share/zoneinfo, or below $TZDIR. Of it we take the
 * block with 64-bit times: the instants at which the offset changes, the offset from each of them
 * on, and the rule in the footer (a POSIX TZ string such as "EST5EDT,M3.2.0,M11.1.0") for all time
 * after the last of them. A region's offset at a local time is found by trying the offset of a day
 * before and that of a day after: if both are the same, that is it.
 */
#include "base/zone.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/os.h"
#include "base/text.h"

#define SECONDS_A_DAY 86400
#define OFFSET_MAX_S (18 * 3600)

/* When a clock is set: day `day` (Sunday is 0) of week `week` (5 is the last) of `month`; with
 * month 0 day `day` of the year, counting from 0; with month -1 from 1 and never counting
 * February 29. */
typedef struct zone_switch {
    int month, week, day;
    int32_t second; /* after midnight, local time */
} zone_switch;

typedef struct zone_rule {
    bool given;
    bool has_summer;
    int32_t standard_s, summer_s;
    zone_switch begin, end;
} zone_rule;

typedef struct zone {
    struct zone *next;
    char name[ZONE_NAME_MAX + 1];
    uint32_t n;
    int64_t *at;       /* n instants, ascending */
    int32_t *offset_s; /* n + 1: before the first, then from each */
    zone_rule rule;
} zone;

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static zone *zones;
static unsigned n_zones;

/* ---- the rule of the footer ------------------------------------------------------------------ */

static bool rule_name(const char **at)
{
    const char *p = *at;

    if (*p == '<') {
        while (*p != '\0' && *p != '>')
            p++;
        if (*p++ != '>')
            return false;
    } else {
        while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z'))
            p++;
    }
    if (p == *at)
        return false;
    *at = p;
    return true;
}

/* Up to four digits; the NUL behind the rule ends them, too. */
static bool rule_number(const char **at, int32_t *value)
{
    return number_small(at, *at + strnlen(*at, 4), 1, 4, value);
}

/* [+-]h[:m[:s]] in seconds. */
static bool rule_time(const char **at, int32_t *seconds)
{
    static const int32_t unit[] = {3600, 60, 1};
    int32_t sum = 0;
    bool negative = false;

    if (**at == '+' || **at == '-')
        negative = *(*at)++ == '-';
    for (int i = 0; i < 3; i++) {
        int part = 0;
        if (i > 0 && **at != ':')
            break;
        if (i > 0)
            (*at)++;
        if (!rule_number(at, &part) || part > 167)
            return false;
        sum += part * unit[i];
    }
    *seconds = negative ? -sum : sum;
    return true;
}

static bool rule_switch(const char **at, zone_switch *out)
{
    out->second = 2 * 3600;
    out->month = 0;
    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        (*at)++;
        if (!rule_number(at, &out->month) || *(*at)++ != '.' || !rule_number(at, &out->week) ||
            *(*at)++ != '.' || !rule_number(at, &out->day))
            return false;
        if (out->month < 1 || out->month > 12 || out->week < 1 || out->week > 5 || out->day > 6)
            return false;
    } else {
        if (**at == 'J') {
            (*at)++;
            out->month = -1;
        }
        if (!rule_number(at, &out->day) || out->day > 365)
            return false;
    }
    if (**at == '/') {
        (*at)++;
        return rule_time(at, &out->second);
    }
    return true;
}

/* Reads the footer; a rule that is not understood is not given. */
static void rule_read(const char *text, zone_rule *rule)
{
    zone_rule out = {.given = true};

    if (!rule_name(&text) || !rule_time(&text, &out.standard_s))
        return;
    out.standard_s = -out.standard_s;
    if (*text != '\0') {
        out.has_summer = true;
        out.summer_s = out.standard_s + 3600;
        if (!rule_name(&text))
            return;
        if (*text != ',') {
            if (!rule_time(&text, &out.summer_s))
                return;
            out.summer_s = -out.summer_s;
        }
        if (!rule_switch(&text, &out.begin) || !rule_switch(&text, &out.end) || *text != '\0')
            return;
    }
    *rule = out;
}

/* The instant of a switch in that year, as seconds on the local clock. */
static int64_t switch_local_s(const zone_switch *when, int64_t year)
{
    int64_t day;

    if (when->month > 0) {
        int64_t first = date_days(year, (unsigned)when->month, 1);
        int64_t next = when->month == 12 ? date_days(year + 1, 1, 1)
                                         : date_days(year, (unsigned)when->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        day = first + (when->day - weekday + 7) % 7 + (when->week - 1) * 7;
        while (day >= next)
            day -= 7;
    } else {
        bool leap = date_days(year, 3, 1) - date_days(year, 2, 1) == 29;
        day = date_days(year, 1, 1) + when->day;
        if (when->month < 0)
            day += (leap && when->day >= 60) - 1;
    }
    return day * SECONDS_A_DAY + when->second;
}

static int32_t rule_offset(const zone_rule *rule, int64_t utc_s)
{
    int64_t standard_local = utc_s + rule->standard_s;
    int64_t days = standard_local / SECONDS_A_DAY - (standard_local % SECONDS_A_DAY < 0);
    int64_t year, begin, end;
    unsigned month, day;
    bool summer;

    if (!rule->has_summer)
        return rule->standard_s;
    date_civil(days, &year, &month, &day);
    begin = switch_local_s(&rule->begin, year) - rule->standard_s;
    end = switch_local_s(&rule->end, year) - rule->summer_s;
    if (begin < end)
        summer = utc_s >= begin && utc_s < end;
    else
        summer = utc_s >= begin || utc_s < end;
    return summer ? rule->summer_s : rule->standard_s;
}

/* ---- TZif files ------------------------------------------------------------------------------ */

static int64_t big_endian(const unsigned char *p, int size)
{
    uint64_t value = p[0] & 0x80 ? ~(uint64_t)0 : 0;

    for (int i = 0; i < size; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

typedef struct tzif {
    uint32_t n_utc, n_standard, n_leap, n_times, n_types, n_chars;
} tzif;

static bool tzif_header(const unsigned char *p, const unsigned char *end, tzif *out)
{
    uint32_t *counts[] = {&out->n_utc,   &out->n_standard, &out->n_leap,
                          &out->n_times, &out->n_types,    &out->n_chars};

    if (end - p < 44 || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    for (int i = 0; i < 6; i++) {
        int64_t count = big_endian(p + 20 + i * 4, 4);
        if (count < 0 || count > ZONE_FILE_BYTES_MAX)
            return false;
        *counts[i] = (uint32_t)count;
    }
    return true;
}

static size_t tzif_size(const tzif *head, size_t time_size)
{
    return head->n_times * (time_size + 1) + head->n_types * (size_t)6 + head->n_chars +
           head->n_leap * (time_size + 4) + head->n_standard + head->n_utc;
}

static bool zone_decode(const unsigned char *p, const unsigned char *end, zone *into)
{
    tzif head;
    const unsigned char *types, *indexes;
    char footer[128];
    size_t size;

    if (!tzif_header(p, end, &head) || (size_t)(end - p) < 44 + tzif_size(&head, 4))
        return false;
    p += 44 + tzif_size(&head, 4);
    if (!tzif_header(p, end, &head) || (size_t)(end - p) < 44 + tzif_size(&head, 8) ||
        head.n_types == 0)
        return false;
    p += 44;
    into->n = head.n_times;
    into->at = calloc(head.n_times + 1, sizeof(int64_t));
    into->offset_s = calloc(head.n_times + 1, sizeof(int32_t));
    if (into->at == NULL || into->offset_s == NULL)
        return false;
    indexes = p + head.n_times * (size_t)8;
    types = indexes + head.n_times;
    into->offset_s[0] = (int32_t)big_endian(types, 4);
    for (uint32_t i = 0; i < head.n_times; i++) {
        if (indexes[i] >= head.n_types)
            return false;
        into->at[i] = big_endian(p + i * (size_t)8, 8);
        into->offset_s[i + 1] = (int32_t)big_endian(types + indexes[i] * (size_t)6, 4);
    }
    p += tzif_size(&head, 8);
    size = (size_t)(end - p);
    if (size > 2 && size < sizeof(footer) && p[0] == '\n' && p[size - 1] == '\n') {
        memcpy(footer, p + 1, size - 2);
        footer[size - 2] = '\0';
        rule_read(footer, &into->rule);
    }
    return true;
}

static bool name_is_safe(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/";

    return name[0] >= 'A' && name[0] <= 'Z' && name[strspn(name, letters)] == '\0';
}

/* How many bytes the region's file has; 0 where it cannot be read. */
static size_t zone_file(const char *name, unsigned char *bytes)
{
    const char *folder = getenv("TZDIR");
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/%s",
                          folder != NULL && *folder != '\0' ? folder : "/usr/share/zoneinfo", name);
    int fd = length < (int)sizeof(path) ? os.open(path, O_RDONLY, 0) : -1;
    ssize_t n = fd < 0 ? 0 : os_read_all(fd, bytes, ZONE_FILE_BYTES_MAX);

    if (fd >= 0)
        os.close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static void zone_free(zone *it)
{
    if (it != NULL) {
        free(it->at);
        free(it->offset_s);
        free(it);
    }
}

static zone *zone_load(const char *name)
{
    unsigned char *bytes = malloc(ZONE_FILE_BYTES_MAX);
    zone *it = calloc(1, sizeof(*it));

    if (bytes == NULL || it == NULL || !zone_decode(bytes, bytes + zone_file(name, bytes), it)) {
        zone_free(it);
        it = NULL;
    } else {
        snprintf(it->name, sizeof(it->name), "%s", name);
    }
    free(bytes);
    return it;
}

static int32_t offset_at(const zone *it, int64_t utc_s)
{
    uint32_t low = 0;
    uint32_t high = it->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (it->at[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == it->n && it->rule.given)
        return rule_offset(&it->rule, utc_s);
    return it->offset_s[low];
}

static int32_t offset_at_local(const zone *it, int64_t local_s)
{
    int32_t before = offset_at(it, local_s - SECONDS_A_DAY);
    int32_t after = offset_at(it, local_s + SECONDS_A_DAY);

    if (before == after || offset_at(it, local_s - before) == before)
        return before;
    return offset_at(it, local_s - after) == after ? after : before;
}

static bool region_offset(const char *name, size_t length, bool is_local, int64_t at_s,
                          int32_t *offset_s)
{
    char text[ZONE_NAME_MAX + 1];
    zone *it;
    bool kept = true;

    if (length > ZONE_NAME_MAX)
        return false;
    memcpy(text, name, length);
    text[length] = '\0';
    if (strlen(text) != length || !name_is_safe(text))
        return false;
    pthread_mutex_lock(&zones_lock);
    for (it = zones; it != NULL && strcmp(it->name, text) != 0;)
        it = it->next;
    if (it == NULL && (it = zone_load(text)) != NULL) {
        kept = n_zones < ZONE_REGIONS_MAX;
        if (kept) {
            it->next = zones;
            zones = it;
            n_zones++;
        }
    }
    pthread_mutex_unlock(&zones_lock);
    if (it == NULL)
        return false;
    *offset_s = is_local ? offset_at_local(it, at_s) : offset_at(it, at_s);
    if (!kept)
        zone_free(it);
    return true;
}

/* ---- offsets as written ---------------------------------------------------------------------- */

static bool take_part(const char **at, const char *end, int least, int32_t *value)
{
    return number_small(at, end, least, 2, value);
}

/* +h, +hh, +hhmm, +hhmmss, +h:mm, +hh:m, +hh:mm, +hh:mm:ss, or the same with a minus. */
static bool written_offset(const char *at, const char *end, int32_t *offset_s)
{
    bool negative = *at++ == '-';
    int32_t h = 0, m = 0, s = 0;
    const char *digits = at;

    if (!take_part(&at, end, 1, &h))
        return false;
    if (at < end && *at == ':') {
        at++;
        if (!take_part(&at, end, 1, &m))
            return false;
        if (at < end && (*at++ != ':' || !take_part(&at, end, 2, &s)))
            return false;
    } else if (at < end) {
        if (at - digits != 2 || !take_part(&at, end, 2, &m))
            return false;
        if (at < end && !take_part(&at, end, 2, &s))
            return false;
    }
    if (at != end || m > 59 || s > 59 || h * 3600 + m * 60 + s > OFFSET_MAX_S)
        return false;
    *offset_s = (h * 3600 + m * 60 + s) * (negative ? -1 : 1);
    return true;
}

static bool find_offset(const char *name, size_t length, bool is_local, int64_t at_s,
                        int32_t *offset_s)
{
    static const char *const universal[] = {"UTC", "GMT", "UT"};
    const char *end = name + length;

    while (name < end && *name == ' ')
        name++;
    if (name == end)
        return false;
    if (*name == '+' || *name == '-')
        return written_offset(name, end, offset_s);
    if (end - name == 1 && *name == 'Z') {
        *offset_s = 0;
        return true;
    }
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(universal[i]);
        if ((size_t)(end - name) < n || memcmp(name, universal[i], n) != 0)
            continue;
        if (name + n == end) {
            *offset_s = 0;
            return true;
        }
        if (name[n] == '+' || name[n] == '-')
            return written_offset(name + n, end, offset_s);
    }
    return region_offset(name, (size_t)(end - name), is_local, at_s, offset_s);
}

bool zone_offset(const char *name, size_t length, int64_t local_s, int32_t *offset_s)
{
    return find_offset(name, length, true, local_s, offset_s);
}

bool zone_offset_at(const char *name, size_t length, int64_t utc_s, int32_t *offset_s)
{
    return find_offset(name, length, false, utc_s, offset_s);
}
