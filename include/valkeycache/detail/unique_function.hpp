// A move-only std::function with room for a small callable, so that callbacks may own move-only
// things and the usual ones need no allocation.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace valkeycache::inline v0 {
namespace detail {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() noexcept = default;
  UniqueFunction(std::nullptr_t) noexcept {}

  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, std::remove_cvref_t<F>&, Args...>) UniqueFunction(F&& f) {
    using Callable = std::remove_cvref_t<F>;
    if constexpr (fits<Callable>) {
      ::new (static_cast<void*>(storage_)) Callable(std::forward<F>(f));
      table_ = &inline_table<Callable>;
    } else {
      ::new (static_cast<void*>(storage_)) Callable*(new Callable(std::forward<F>(f)));
      table_ = &heap_table<Callable>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept : table_(other.table_) {
    if (table_) table_->relocate(other.storage_, storage_);
    other.table_ = nullptr;
  }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      table_ = other.table_;
      if (table_) table_->relocate(other.storage_, storage_);
      other.table_ = nullptr;
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { reset(); }

  explicit operator bool() const noexcept { return table_ != nullptr; }
  R operator()(Args... args) { return table_->call(storage_, std::forward<Args>(args)...); }

  void reset() noexcept {
    if (table_) std::exchange(table_, nullptr)->destroy(storage_);
  }

 private:
  static constexpr std::size_t capacity = 6 * sizeof(void*);

  struct Table {
    R (*call)(std::byte*, Args&&...);
    void (*relocate)(std::byte*, std::byte*) noexcept;
    void (*destroy)(std::byte*) noexcept;
  };

  template <class F>
  static constexpr bool fits =
      sizeof(F) <= capacity &&
      alignof(F) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static F* as(std::byte* at) noexcept {
    return std::launder(reinterpret_cast<F*>(at));
  }

  template <class F>
  static constexpr Table inline_table{
      [](std::byte* at, Args&&... args) -> R { return (*as<F>(at))(std::forward<Args>(args)...); },
      [](std::byte* from, std::byte* to) noexcept {
        ::new (static_cast<void*>(to)) F(std::move(*as<F>(from)));
        std::destroy_at(as<F>(from));
      },
      [](std::byte* at) noexcept {
        std::destroy_at(as<F>(at));
      }};

  template <class F>
  static constexpr Table heap_table{[](std::byte* at, Args&&... args) -> R {
                                      return (**as<F*>(at))(std::forward<Args>(args)...);
                                    },
                                    [](std::byte* from, std::byte* to) noexcept {
                                      ::new (static_cast<void*>(to)) F*(*as<F*>(from));
                                    },
                                    [](std::byte* at) noexcept {
                                      delete *as<F*>(at);
                                    }};

  alignas(std::max_align_t) std::byte storage_[capacity];
  const Table* table_ = nullptr;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
