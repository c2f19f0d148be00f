//! A vector with holes: what is in it is named by a small number that stays until it is removed.
//! Numbers are given out again, the last freed first, so the same inputs give the same numbers.

/// Elements by dense number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, element: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = Some(element);
            return index;
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Some(element));
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let element = self.places.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(element)
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..)
            .zip(&self.places)
            .filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0u32..)
            .zip(&mut self.places)
            .filter_map(|(index, place)| Some((index, place.as_mut()?)))
    }
}

/// Indexing is for numbers that the holder keeps as long as the element is there.
impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    #[expect(
        clippy::expect_used,
        reason = "an index is only kept while its element is there"
    )]
    fn index(&self, index: u32) -> &T {
        self.get(index).expect("a live index")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[expect(
        clippy::expect_used,
        reason = "an index is only kept while its element is there"
    )]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect("a live index")
    }
}
