/* cassandra_options.c - see cassandra_options.h. */
#include "writers/cassandra/cassandra_options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/os.h"

#define NAME_MAX_BYTES 48u /* of keyspaces and tables: the store's own limit */
#define OPENING "opening the online store"
#define CONSISTENCY_TEXT_MAX 200u

/* ---- what they come to ----------------------------------------------------------------------- */

static const char *given_or_environment(const char *given, const char *name)
{
    const char *value = given != NULL && given[0] != '\0' ? given : getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Keyspaces and tables: letters, digits and _, in any server. */
static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    bool good = length > 0 && length <= NAME_MAX_BYTES;
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)name[i]) || name[i] == '_';
    return good;
}

/* The option where it was given, else the environment's, else the default; false where that is
 * none. */
static bool find_consistency(const char *option, int value, bool given, const char *variable,
                             bool may_be_any, cql_consistency *out, char *text)
{
    const char *said = given ? NULL : given_or_environment(NULL, variable);
    int at = said == NULL ? value : 0;
    while (said != NULL && consistency_names[at] != NULL &&
           strcmp(consistency_names[at], said) != 0)
        at++;
    *out = (cql_consistency)at;
    if (consistency_names[at] == NULL)
        snprintf(text, CONSISTENCY_TEXT_MAX,
                 "%s in the environment cannot be \"%.40s\": it must be a consistency level, such "
                 "as LOCAL_QUORUM",
                 variable, said);
    else if (at == CQL_ANY && !may_be_any)
        snprintf(text, CONSISTENCY_TEXT_MAX,
                 "\"%s\" cannot be \"ANY\", which is for writing only: write for example LOCAL_ONE",
                 said == NULL ? option : variable);
    else
        return true;
    return false;
}

static bool find_consistencies(const cassandra_options *options, cassandra_place *out, char *text)
{
    return find_consistency("read_consistency", options->read_consistency,
                            options->has_read_consistency, "CASSANDRA_READ_CONSISTENCY_LEVEL",
                            false, &out->read_consistency, text) &&
           find_consistency("write_consistency", options->write_consistency,
                            options->has_write_consistency, "CASSANDRA_WRITE_CONSISTENCY_LEVEL",
                            true, &out->write_consistency, text);
}

#define NO_HOST                                                                             \
    "the store's \"host\" is missing: write for example `cassandra: {host: 10.0.0.1}`, or " \
    "set CASSANDRA_HOST"
#define NO_KEYSPACE                                                                              \
    "the store's \"keyspace\" is missing: write for example `cassandra: {keyspace: features}`, " \
    "or set CASSANDRA_KEYSPACE"
#define NO_NAME                                                                                    \
    "\"%s\" is no name for a %s in Cassandra: it can have %u letters, digits and _ at most; give " \
    "another by `cassandra: {%s: ...}`"

/* host, host:port, [IPv6], [IPv6]:port, or an IPv6 address as it is. */
static bool is_host(const char *host)
{
    const char *name_end = host[0] == '[' ? strchr(host, ']') : NULL;
    const char *colon = strchr(name_end == NULL ? host : name_end, ':');
    if (host[0] == '\0' || (host[0] == ':' && host[1] != ':') ||
        strpbrk(host, " \t\n,/@") != NULL ||
        (host[0] == '[' && (name_end == NULL || (name_end[1] != '\0' && name_end[1] != ':'))))
        return false;
    if (colon == NULL || (name_end == NULL && strchr(colon + 1, ':') != NULL))
        return true;
    const char *at = colon + 1;
    int64_t port;
    return number_digits(&at, at + strlen(at), false, &port) && port >= 1 && port <= 65535 &&
           *at == '\0';
}

static void check_hosts(const cassandra_options *options, problems *problems)
{
    for (uint32_t i = 0; i < options->host.n; i++)
        if (!is_host(options->host.items[i].value))
            problem_add(problems, &options->host.items[i].at,
                        "\"host\" cannot be \"%s\": write a name or an address, or one with its "
                        "port, such as \"10.0.0.1:9042\", and several as a list",
                        options->host.items[i].value);
}

static void check_partition(const cassandra_options *options, const declaration *declaration,
                            problems *problems)
{
    const declared_blocks *blocks = &declaration->feature_set.keys;
    const key_block *keys = blocks->items;
    const declared_list *names = &options->partition_by;
    for (uint32_t i = 0; i < names->n; i++) {
        const char *name = names->items[i].value;
        uint32_t k = 0, first = 0;
        while (k < blocks->n && strcmp(keys[k].name.value, name) != 0)
            k++;
        while (strcmp(names->items[first].value, name) != 0)
            first++;
        if (k == blocks->n)
            problem_add(problems, &names->items[i].at, PARTITION_NO_KEY, name);
        else if (first < i)
            problem_add(problems, &names->items[i].at, PARTITION_TWICE, name);
    }
}

/* What of it is nowhere to be found, or no name; what there is goes to `out`, in any case. */
static void find_names(const online_options *online, const declaration *declaration,
                       const place *at, cassandra_place *out, problems *problems)
{
    const cassandra_options *options = &online->cassandra;
    const feature_set_block *set = &declaration->feature_set;
    const declared_text *own = online->write_to_entity ? &set->entity : &set->name;
    const declared_text *table = options->table.value != NULL ? &options->table : own;
    char text[CONSISTENCY_TEXT_MAX];
    out->keyspace = given_or_environment(options->keyspace.value, "CASSANDRA_KEYSPACE");
    out->table = table->value;
    out->is_shared = strcmp(out->table, set->name.value) != 0;
    if (options->host.n == 0 && given_or_environment(NULL, "CASSANDRA_HOST") == NULL)
        problem_add(problems, at, "%s", NO_HOST);
    if (out->keyspace == NULL)
        problem_add(problems, at, "%s", NO_KEYSPACE);
    else if (!is_name(out->keyspace))
        problem_add(problems, at, NO_NAME, out->keyspace, "keyspace", NAME_MAX_BYTES, "keyspace");
    if (!is_name(out->table))
        problem_add(problems, &table->at, NO_NAME, out->table, "table", NAME_MAX_BYTES, "table");
    if (!find_consistencies(options, out, text))
        problem_add(problems, at, "%s", text);
}

/* The last second that a cell may live to: in Cassandra before 5.0, and in 5.0 as installed. */
#define EXPIRATION_MAX_S INT64_C(2147483646)

static void check_ttl(int64_t ttl_us, const place *at, problems *problems)
{
    const int64_t left_days = (EXPIRATION_MAX_S - os.now_us() / 1000000) / 86400;
    if (ttl_us == 0 || ttl_us / 1000000 / 86400 < left_days)
        return;
    problem_warn(
        problems, at,
        "\"ttl\" reaches beyond 2038-01-19, where times to live end in Cassandra before 5.0, "
        "and in 5.0 with its `storage_compatibility_mode: CASSANDRA_4`: there each row of "
        "today will be refused, a dead letter; write at most `ttl: %d days`, or leave it "
        "away: then rows stay for ever",
        (int)(left_days > 0 ? left_days - 1 : 0));
}

void cassandra_check(const online_options *online, const declaration *declaration, const place *at,
                     problems *problems)
{
    cassandra_place ignored;
    find_names(online, declaration, at, &ignored, problems);
    check_hosts(&online->cassandra, problems);
    check_ttl(online->ttl_us, at, problems);
    check_partition(&online->cassandra, declaration, problems);
}

/* "host:port"; an IPv6 address gets its brackets. */
static const char *add_host(arena *arena, const char *hosts, const char *host, size_t length,
                            int64_t port)
{
    while (length > 0 && isspace((unsigned char)host[0])) {
        host++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)host[length - 1]))
        length--;
    if (length == 0)
        return hosts;
    const char *first = memchr(host, ':', length);
    const char *bracket = memchr(host, ']', length);
    const bool is_bare_6 = first != NULL && bracket == NULL &&
                           memchr(first + 1, ':', length - (size_t)(first + 1 - host)) != NULL;
    const bool has_port =
        bracket != NULL ? bracket + 1 < host + length : first != NULL && !is_bare_6;
    const char *comma = hosts[0] == '\0' ? "" : ",";
    if (has_port)
        return arena_format(arena, "%s%s%.*s", hosts, comma, (int)length, host);
    return arena_format(arena, "%s%s%s%.*s%s:%d", hosts, comma, is_bare_6 ? "[" : "", (int)length,
                        host, is_bare_6 ? "]" : "", (int)port);
}

static const char *join_hosts(const cassandra_options *options, arena *arena)
{
    const char *hosts = "";
    for (uint32_t i = 0; hosts != NULL && i < options->host.n; i++)
        hosts = add_host(arena, hosts, options->host.items[i].value,
                         strlen(options->host.items[i].value), options->port);
    const char *at = options->host.n == 0 ? given_or_environment(NULL, "CASSANDRA_HOST") : NULL;
    while (hosts != NULL && at != NULL && *at != '\0') {
        const size_t length = strcspn(at, ",");
        hosts = add_host(arena, hosts, at, length, options->port);
        at += length + (at[length] == ',');
    }
    return hosts;
}

/* NULL stays NULL. */
static bool file_path(const declared_text *given, const declaration *declaration, arena *arena,
                      const char **out)
{
    *out = given->value == NULL ? NULL : declaration_path(declaration, arena, given->value);
    return given->value == NULL || *out != NULL;
}

freshet_code cassandra_place_make(const online_options *online, const declaration *declaration,
                                  arena *arena, cassandra_place *out, freshet_error *err)
{
    const cassandra_options *options = &online->cassandra;
    const place at = {.path = declaration->file};
    problems *problems = problems_open(arena);
    *out = (cassandra_place){0};
    if (problems == NULL)
        return error_memory(err, OPENING);
    find_names(online, declaration, &at, out, problems);
    if (problems_count(problems) > 0)
        return problems_report(problems, NULL, NULL, err);
    out->accepts_dropped = options->dropped_columns == DROPPED_ACCEPT;
    out->client = (cql_options){
        .hosts = join_hosts(options, arena),
        .local_dc = given_or_environment(options->local_dc.value, "CASSANDRA_LOCAL_DC"),
        .user = given_or_environment(options->username.value, "CASSANDRA_USERNAME"),
        .password = given_or_environment(options->password.value, "CASSANDRA_PASSWORD"),
        .tls = options->has_tls,
        .verify = options->tls.verify,
        .connect_timeout_ms = (int32_t)(options->connect_timeout_us / 1000),
        .request_timeout_ms = (int32_t)(options->request_timeout_us / 1000),
        .threads = 1,
        .compress = options->compression,
    };
    const bool done = out->client.hosts != NULL &&
                      file_path(&options->tls.ca, declaration, arena, &out->client.ca_file) &&
                      file_path(&options->tls.cert, declaration, arena, &out->client.cert_file) &&
                      file_path(&options->tls.key, declaration, arena, &out->client.key_file);
    if (!done)
        return error_memory(err, OPENING);
    return out->client.hosts[0] != '\0'
               ? FRESHET_OK
               : error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file, NO_HOST);
}
