/* SPDX-License-Identifier: MIT */
/*
 * Keeps a processor from halting, at a priority below every other: where the processor is virtual, waking it costs more than what is
 * measured. Ends with the program that started it.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <immintrin.h>

int main(int count, char **arguments)
{
    struct sched_param priority = { 0 };
    cpu_set_t processor;

    if (count != 2)
        return 2;
    CPU_ZERO(&processor);
    CPU_SET(atoi(arguments[1]), &processor);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || sched_setaffinity(0, sizeof(processor), &processor) != 0)
        return 1;
    if (sched_setscheduler(0, SCHED_IDLE, &priority) != 0)
        return 1;
    for (;;)
        _mm_pause();
}
