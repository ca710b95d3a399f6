/* reason.c - see reason.h. */
#include "base/reason.h"

#define REASON_NAME(NAME, code, doc) code,
#define REASON_DOC(NAME, code, doc) doc,

static const char *const names[] = {REASONS(REASON_NAME)};
static const char *const docs[] = {REASONS(REASON_DOC)};

const char *reason_name(reason_code code)
{
    return names[code];
}

const char *reason_doc(reason_code code)
{
    return docs[code];
}
