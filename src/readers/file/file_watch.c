/* file_watch.c - see file_watch.h.
 *
 * One entry per watched folder, sorted by inotify's watch descriptor. Adding a
 * folder that is watched already gives its old descriptor, so that a listing only has to mark
 * what it has seen; a folder moved away and another put in its place has another descriptor.
 */
#include "readers/file/file_watch.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"
#include "readers/file/file_list.h"

#define NEWS                                                                            \
    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)
#define EVENT_BYTES 65536

typedef struct folder {
    int descriptor;
    char *path;
    char *name;   /* NULL: any */
    bool files;   /* files that match belong to the list */
    bool folders; /* any folder in it matters */
    bool unclear; /* several names: any news means a new listing */
    bool seen;    /* by the present listing */
} folder;

struct file_watch {
    int fd;
    folder *folders;
    size_t n;
    uint32_t capacity;
    bool incomplete;
    text_buffer path;
    size_t at, filled; /* in events */
    _Alignas(struct inotify_event) char events[EVENT_BYTES];
};

file_watch *file_watch_open(void)
{
    file_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    watch->fd = os.inotify();
    if (watch->fd < 0) {
        free(watch);
        return NULL;
    }
    text_init(&watch->path, 2 * PATH_MAX);
    return watch;
}

static void folder_free(folder *folder)
{
    free(folder->path);
    free(folder->name);
}

void file_watch_close(file_watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->n; i++)
        folder_free(&watch->folders[i]);
    free(watch->folders);
    text_release(&watch->path);
    os.close(watch->fd);
    free(watch);
}

void file_watch_begin(file_watch *watch)
{
    if (watch == NULL)
        return;
    watch->incomplete = false;
    for (size_t i = 0; i < watch->n; i++)
        watch->folders[i].seen = false;
}

static folder *watch_find(file_watch *watch, int descriptor)
{
    size_t low = 0;
    size_t high = watch->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (watch->folders[middle].descriptor < descriptor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < watch->n && watch->folders[low].descriptor == descriptor ? &watch->folders[low]
                                                                          : NULL;
}

/* Keeps the folders sorted by descriptor; new ones have the largest. */
static folder *insert(file_watch *watch, int descriptor)
{
    size_t at = watch->n;

    if (!array_reserve(&watch->folders, &watch->capacity, watch->n + 1, sizeof(*watch->folders)))
        return NULL;
    while (at > 0 && watch->folders[at - 1].descriptor > descriptor)
        at--;
    memmove(&watch->folders[at + 1], &watch->folders[at],
            (watch->n - at) * sizeof(*watch->folders));
    watch->folders[at] = (folder){.descriptor = descriptor};
    watch->n++;
    return &watch->folders[at];
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Takes down what a folder is watched for, in this listing; false where memory is out. */
static bool watch_describe(folder *it, const char *path, const char *name, bool files)
{
    if (it->path == NULL || strcmp(it->path, path) != 0) {
        free(it->path);
        it->path = strdup(path);
    }
    if (!it->seen) {
        it->files = false;
        it->folders = false;
        it->unclear = false;
    }
    it->seen = true;
    it->folders = it->folders || !files;
    if (files && it->files && !same_text(it->name, name)) {
        it->unclear = true;
    } else if (files) {
        free(it->name);
        it->name = name == NULL ? NULL : strdup(name);
        it->files = true;
        if (name != NULL && it->name == NULL)
            return false;
    }
    return it->path != NULL;
}

void file_watch_folder(file_watch *watch, const char *path, const char *name, bool files)
{
    int descriptor;
    folder *it;

    if (watch == NULL)
        return;
    descriptor = inotify_add_watch(watch->fd, path[0] == '\0' ? "." : path, NEWS);
    it = descriptor < 0 ? NULL : watch_find(watch, descriptor);
    if (descriptor >= 0 && it == NULL)
        it = insert(watch, descriptor);
    if (it == NULL || !watch_describe(it, path, name, files))
        watch->incomplete = true;
}

void file_watch_end(file_watch *watch)
{
    size_t kept = 0;

    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->n; i++) {
        folder *it = &watch->folders[i];
        if (it->seen) {
            watch->folders[kept++] = *it;
        } else {
            inotify_rm_watch(watch->fd, it->descriptor); /* fails where the folder is gone: fine */
            folder_free(it);
        }
    }
    watch->n = kept;
}

static watch_news news_of(file_watch *watch, const struct inotify_event *event, const char **path)
{
    const folder *it;
    const char *name = event->len > 0 ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW)
        return WATCH_LIST;
    it = watch_find(watch, event->wd);
    if (it == NULL)
        return WATCH_NOTHING; /* of a folder let go */
    if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
        watch->incomplete = true;
        return WATCH_LIST;
    }
    if (event->mask & IN_ISDIR) {
        bool matters = it->folders || it->unclear ||
                       (it->files && it->name != NULL && file_list_matches(it->name, name));
        return !matters || name[0] == '\0' || (event->mask & IN_ATTRIB) ? WATCH_NOTHING
                                                                        : WATCH_LIST;
    }
    if (!it->files || name[0] == '\0')
        return WATCH_NOTHING;
    if (it->unclear)
        return WATCH_LIST;
    if (!file_list_matches(it->name, name))
        return WATCH_NOTHING;
    if (event->mask & (IN_MOVED_FROM | IN_DELETE))
        return WATCH_LIST;
    text_reset(&watch->path);
    text_append_c(&watch->path, it->path);
    if (watch->path.length > 0 && watch->path.bytes[watch->path.length - 1] != '/')
        text_append_char(&watch->path, '/');
    text_append_c(&watch->path, name);
    *path = watch->path.bytes;
    return watch->path.failed ? WATCH_LIST : WATCH_FILE;
}

watch_news file_watch_next(file_watch *watch, const char **path)
{
    if (watch == NULL)
        return WATCH_NOTHING;
    for (;;) {
        const struct inotify_event *event;
        watch_news news;
        if (watch->at == watch->filled) {
            ssize_t n = os.read(watch->fd, watch->events, sizeof(watch->events));
            if (n <= 0)
                return WATCH_NOTHING;
            watch->at = 0;
            watch->filled = (size_t)n;
        }
        event = (const struct inotify_event *)(const void *)(watch->events + watch->at);
        watch->at += sizeof(*event) + event->len;
        news = news_of(watch, event, path);
        if (news != WATCH_NOTHING)
            return news;
    }
}

bool file_watch_has_kept(const file_watch *watch)
{
    return watch != NULL && watch->at < watch->filled;
}

int file_watch_fd(const file_watch *watch)
{
    return watch == NULL ? -1 : watch->fd;
}

bool file_watch_is_complete(const file_watch *watch)
{
    return watch != NULL && !watch->incomplete;
}
