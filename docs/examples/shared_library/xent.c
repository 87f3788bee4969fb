/* Softmax cross-entropy with the gradient of the logits: float32 in and out, row-major.
 *
 * `value` gets one loss per row. `gradient` gets a number per logit, or is NULL.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Every sum has positive terms only, so nothing cancels: with m the largest logit,
 *
 *     x_y = m:   log1p(sum over the others of exp(x_j - m))
 *     x_y < m:   (m - x_y) + log(sum over all of exp(x_j - m))
 *
 * In double, for a float difference x_j - m of -40 is rounded by 2^-19, which is what exp(x_j - m)
 * is then off by: 32 ulps.
 */
void xent(const float *logits, const int64_t *labels, size_t rows, size_t classes, float *value,
          float *gradient) {
    for (size_t i = 0; i < rows; i++, logits += classes) {
        const size_t y = (size_t)labels[i];
        double m = -INFINITY, others = 0.0;
        for (size_t j = 0; j < classes; j++)
            if (logits[j] > m) m = logits[j];
        for (size_t j = 0; j < classes; j++)
            if (j != y) others += exp(logits[j] - m);
        const double label = exp(logits[y] - m), all = others + label;
        value[i] = (float)(logits[y] == m ? log1p(others) : (m - logits[y]) + log(all));
        if (!gradient) continue;
        for (size_t j = 0; j < classes; j++)
            *gradient++ = (float)(j == y ? -others / all : exp(logits[j] - m) / all);
    }
}

/* The same as it is often written: logsumexp minus the label's logit, and p - 1. */
void xent_naive(const float *logits, const int64_t *labels, size_t rows, size_t classes,
                float *value, float *gradient) {
    for (size_t i = 0; i < rows; i++, logits += classes) {
        const size_t y = (size_t)labels[i];
        float m = -INFINITY, all = 0.0f;
        for (size_t j = 0; j < classes; j++)
            if (logits[j] > m) m = logits[j];
        for (size_t j = 0; j < classes; j++) all += expf(logits[j] - m);
        value[i] = m + logf(all) - logits[y];
        if (!gradient) continue;
        for (size_t j = 0; j < classes; j++)
            *gradient++ = expf(logits[j] - m) / all - (j == y ? 1.0f : 0.0f);
    }
}
