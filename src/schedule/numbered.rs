//! Values by number, for things that are numbered without gaps. Unlike a map, it hashes nothing.

/// Values by number. Those that nobody has set are the default.
#[derive(Debug, Default)]
pub(super) struct Numbered<T>(Vec<T>);

impl<T: Default> Numbered<T> {
    /// Returns the value of a number, to read or change it.
    pub(super) fn entry(&mut self, number: usize) -> &mut T {
        if number >= self.0.len() {
            self.0.resize_with(number + 1, T::default);
        }
        &mut self.0[number]
    }
}
