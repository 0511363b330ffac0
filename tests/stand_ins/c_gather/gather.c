/* The same lookup in C: what a compiler makes of the ideas of backends/numba_cpu.py, to compare with it.
 *
 * cc -O3 -march=native -fopenmp -shared -fPIC gather.c -o gather.so
 */
#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

/* On a 64-byte boundary of the output, past the caches. */
static inline void stream_line(char *to, const char *from) {
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)to, _mm512_loadu_si512(from));
#else
    for (int k = 0; k < 64; k += 16)
        _mm_stream_si128((__m128i *)(to + k), _mm_loadu_si128((const __m128i *)(from + k)));
#endif
}

static inline void copy_line(char *to, const char *from) {
#if defined(__AVX512F__)
    _mm512_storeu_si512(to, _mm512_loadu_si512(from));
#else
    memcpy(to, from, 64);
#endif
}

/* Less than a line: two pieces, which may overlap. */
static inline void copy_short(char *to, const char *from, int64_t size) {
#define TWO(width)                                              \
    if (size >= width) {                                        \
        memcpy(to, from, width);                                \
        memcpy(to + size - width, from + size - width, width);  \
        return;                                                 \
    }
    TWO(32) TWO(16) TWO(8) TWO(4) TWO(2) TWO(1)
#undef TWO
}

static inline void prefetch(const char *address) { __builtin_prefetch(address, 0, 2); }

static inline void copy_row(char *to, const char *from, const char *later, int64_t size, int stream) {
    int64_t done = stream ? -(intptr_t)to & 63 : 0;
    if (done) copy_short(to, from, done);
    for (; done <= size - 64; done += 64) {
        prefetch(later + done);
        if (stream)
            stream_line(to + done, from + done);
        else
            copy_line(to + done, from + done);
    }
    prefetch(later + size - 1);
    if (done < size) {
        prefetch(later + done);
        copy_short(to + done, from + done, size - done);
    }
}

/* Four rows of whole lines, a line of each in turn. */
static inline void copy_four(char *to, const char **from, const char **later, int64_t size, int stream) {
    for (int64_t done = 0; done < size; done += 64)
        for (int k = 0; k < 4; k++) {
            prefetch(later[k] + done);
            if (stream)
                stream_line(to + k * size + done, from[k] + done);
            else
                copy_line(to + k * size + done, from[k] + done);
        }
}

static void copy_rows(const char *table, const int64_t *ids, char *out, int64_t size, int64_t first, int64_t last,
                      int64_t ahead, int stream, int four) {
    int64_t warm = first + ahead < last ? first + ahead : last;
    for (int64_t i = first; i < warm; i++)
        for (int64_t done = 0; done < size; done += 64) prefetch(table + ids[i] * size + done);
    int64_t i = first;
    for (; four && i + 4 <= last; i += 4) {
        const char *from[4], *later[4];
        for (int k = 0; k < 4; k++) {
            int64_t next = i + k + ahead < last ? i + k + ahead : last - 1;
            from[k] = table + ids[i + k] * size;
            later[k] = table + ids[next] * size;
        }
        copy_four(out + i * size, from, later, size, stream);
    }
    for (; i < last; i++) {
        int64_t next = i + ahead < last ? i + ahead : last - 1;
        copy_row(out + i * size, table + ids[i] * size, table + ids[next] * size, size, stream);
    }
    if (stream) _mm_sfence();
}

/* threads == 1 stays on the calling thread; otherwise every thread takes one contiguous part of the batch. */
void gather(const char *table, const int64_t *ids, char *out, int64_t size, int64_t batch, int64_t ahead, int stream,
            int four, int threads) {
    if (threads == 1) {
        copy_rows(table, ids, out, size, 0, batch, ahead, stream, four);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        int64_t share = (batch + omp_get_num_threads() - 1) / omp_get_num_threads();
        int64_t first = share * omp_get_thread_num();
        int64_t last = first + share < batch ? first + share : batch;
        if (first < last) copy_rows(table, ids, out, size, first, last, ahead, stream, four);
    }
}
