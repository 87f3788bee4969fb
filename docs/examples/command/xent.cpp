// Softmax cross-entropy of one file of logits and one of labels: xent value|gradient LOGITS LABELS
// OUT. The files are NumPy's .npy: float32 (rows, classes) and int64 (rows,), in C order.
//
// What reads and writes them is in npy.hpp, to be copied beside whatever is to be audited.

#include <cmath>
#include <iostream>
#include <string>

#include "npy.hpp"

namespace {

struct Result {
    npy::Array<float> value, gradient;
};

Result cross_entropy(const npy::Array<float> &logits, const npy::Array<std::int64_t> &labels) {
    if (logits.shape.size() != 2 || labels.shape.size() != 1 || labels.shape[0] != logits.shape[0])
        throw std::runtime_error("want logits (rows, classes) and labels (rows,)");
    const std::size_t rows = logits.shape[0], classes = logits.shape[1];
    Result result{{{rows}, {}}, {logits.shape, {}}};
    const float *x = logits.data.data();
    for (std::size_t i = 0; i < rows; ++i, x += classes) {
        const auto y = static_cast<std::size_t>(labels.data[i]);
        if (y >= classes) throw std::runtime_error("a label is no class");
        double m = -INFINITY, others = 0;
        for (std::size_t j = 0; j < classes; ++j)
            if (x[j] > m) m = x[j];
        for (std::size_t j = 0; j < classes; ++j)
            if (j != y) others += std::exp(x[j] - m);
        const double all = others + std::exp(x[y] - m);
        const double value = x[y] == m ? std::log1p(others) : (m - x[y]) + std::log(all);
        result.value.data.push_back(static_cast<float>(value));
        for (std::size_t j = 0; j < classes; ++j) {
            const double slope = j == y ? -others / all : std::exp(x[j] - m) / all;
            result.gradient.data.push_back(static_cast<float>(slope));
        }
    }
    return result;
}

}  // namespace

int main(int argc, char **argv) {
    try {
        const std::string what = argc == 5 ? argv[1] : "";
        if (what != "value" && what != "gradient")
            throw std::runtime_error("usage: xent value|gradient LOGITS LABELS OUT");
        const auto result =
            cross_entropy(npy::read<float>(argv[2]), npy::read<std::int64_t>(argv[3]));
        npy::write(argv[4], what == "value" ? result.value : result.gradient);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
