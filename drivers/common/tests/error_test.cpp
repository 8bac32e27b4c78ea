#include "drivers/common/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace driver {
namespace {

struct Known {
    int number;
    const char* name;
};

class ErrnoName : public testing::TestWithParam<Known> {};

TEST_P(ErrnoName, IsFoundBothWays) {
    EXPECT_EQ(errno_name(GetParam().number), GetParam().name);
    EXPECT_EQ(errno_number(GetParam().name), GetParam().number);
}

// The errors of the NBD specification, and those of connections.
INSTANTIATE_TEST_SUITE_P(Known, ErrnoName,
                         testing::Values(Known{EPERM, "EPERM"}, Known{EIO, "EIO"}, Known{ENOMEM, "ENOMEM"},
                                         Known{EINVAL, "EINVAL"}, Known{ENOSPC, "ENOSPC"},
                                         Known{EOVERFLOW, "EOVERFLOW"}, Known{ENOTSUP, "ENOTSUP"},
                                         Known{ESHUTDOWN, "ESHUTDOWN"}, Known{ENOENT, "ENOENT"},
                                         Known{ECONNREFUSED, "ECONNREFUSED"}, Known{ENOTCONN, "ENOTCONN"},
                                         Known{ETIMEDOUT, "ETIMEDOUT"}, Known{ERANGE, "ERANGE"}));

TEST(Errno, WithoutANameIsUnknown) {
    for (const int number : {0, -1, -EINVAL, 100000})
        EXPECT_EQ(errno_name(number), "EUNKNOWN") << number;
    for (const char* name : {"", "EUNKNOWN", "EINVA", "einval", "22"})
        EXPECT_EQ(errno_number(name), std::nullopt) << name;
}

TEST(Errno, OtherNamesOfANumberAreKnown) {
    EXPECT_EQ(errno_number("EOPNOTSUPP"), EOPNOTSUPP);
    EXPECT_EQ(errno_number("EWOULDBLOCK"), EWOULDBLOCK);
    EXPECT_EQ(errno_number("EAGAIN"), EAGAIN);
}

TEST(RefuseStep, ThrowsAnErrorOfTheDriver) {
    try {
        refuse_step(ENOTSUP, "no such thing");
        FAIL() << "nothing was thrown";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error(), (Error{"ENOTSUP", Where::driver, "no such thing"}));
        EXPECT_STREQ(failure.what(), "no such thing");
    }
}

} // namespace
} // namespace driver
