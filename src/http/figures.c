/* figures.c - see figures.h. */
#include "http/figures.h"

#include <pthread.h>
#include <stdlib.h>

struct figures_board {
    pthread_mutex_t lock;
    figures sides[2];
    uint32_t shown; /* under the lock */
};

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

void histogram_add(histogram *histogram, int64_t us, uint64_t times)
{
    uint32_t i = 0;
    while (i < HISTOGRAM_BOUNDS && us > histogram_bounds_us[i])
        i++;
    histogram->counts[i] += times;
    histogram->sum_s += (double)us / 1e6 * (double)times;
}

figures_board *figures_open(void)
{
    figures_board *board = calloc(1, sizeof *board);
    if (board == NULL)
        return NULL;
    pthread_mutex_init(&board->lock, NULL);
    for (int i = 0; i < 2; i++)
        board->sides[i].arena = arena_open();
    if (board->sides[0].arena != NULL && board->sides[1].arena != NULL)
        return board;
    figures_close(board);
    return NULL;
}

void figures_close(figures_board *board)
{
    if (board == NULL)
        return;
    for (int i = 0; i < 2; i++)
        arena_close(board->sides[i].arena);
    pthread_mutex_destroy(&board->lock);
    free(board);
}

/* The loop alone changes which side is shown, so that it may read that without the lock. */
figures *figures_draft(figures_board *board)
{
    figures *draft = &board->sides[1 - board->shown];
    arena_reset(draft->arena);
    *draft = (figures){.arena = draft->arena};
    return draft;
}

void figures_show(figures_board *board)
{
    if (pthread_mutex_trylock(&board->lock) != 0)
        return;
    board->shown = 1 - board->shown;
    pthread_mutex_unlock(&board->lock);
}

const figures *figures_look(figures_board *board)
{
    pthread_mutex_lock(&board->lock);
    return &board->sides[board->shown];
}

void figures_done(figures_board *board)
{
    pthread_mutex_unlock(&board->lock);
}
