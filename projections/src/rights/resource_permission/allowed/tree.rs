//! The folders of an org and their hierarchy, in as few bytes as possible.

use kymograph_domain::rights::resource_permission::MAX_DEPTH;

/// The parent of a folder at the root.
const ROOT: u32 = u32::MAX;

/// All folders of an org, in the order of their uids.
#[derive(Debug)]
pub(super) struct Tree {
    /// The concatenated uids.
    uids: String,
    /// The end of each uid.
    ends: Vec<u32>,
    /// The number of each folder's parent.
    parents: Vec<u32>,
}

impl Tree {
    /// The tree of folders with these uids and the parents at the same indexes, which are empty at the root.
    pub(super) fn of(uids: &[&str], parents: &[&str]) -> Self {
        let mut folders: Vec<_> = uids.iter().copied().zip(parents.iter().copied()).collect();
        folders.sort_unstable();
        let mut tree = Self {
            uids: String::with_capacity(uids.iter().map(|uid| uid.len()).sum()),
            ends: Vec::with_capacity(folders.len()),
            parents: Vec::with_capacity(folders.len()),
        };
        for (uid, _) in &folders {
            tree.uids.push_str(uid);
            tree.ends.push(u32::try_from(tree.uids.len()).unwrap_or(u32::MAX));
        }
        for (_, parent) in &folders {
            let parent = if parent.is_empty() { None } else { tree.find(parent) };
            tree.parents.push(parent.and_then(|parent| u32::try_from(parent).ok()).unwrap_or(ROOT));
        }
        tree
    }

    /// The number of folders.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The uid of the folder with a number.
    pub(super) fn uid(&self, number: usize) -> &str {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.uids[begin as usize..self.ends[number] as usize]
    }

    /// The number of a folder.
    pub(super) fn find(&self, uid: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.uid(middle).cmp(uid) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// A bit for each folder: whether it is one of these or inside one of them.
    pub(super) fn inside(&self, outer: &[&str]) -> Vec<u64> {
        let mut is_inside: Vec<Option<bool>> = vec![None; self.len()];
        for found in outer.iter().filter_map(|uid| self.find(uid)) {
            is_inside[found] = Some(true);
        }
        let mut way = Vec::with_capacity(MAX_DEPTH);
        for number in 0..self.len() {
            let mut next = number;
            let answer = loop {
                if let Some(known) = is_inside[next] {
                    break known;
                }
                way.push(next);
                match self.parents[next] {
                    ROOT => break false,
                    // Guards against cycles and deeper folders, which do not exist.
                    _ if way.len() > MAX_DEPTH => break false,
                    parent => next = parent as usize,
                }
            };
            way.drain(..).for_each(|passed| is_inside[passed] = Some(answer));
        }
        let bits = |chunk: &[Option<bool>]| {
            let set = chunk.iter().enumerate().filter(|(_, is_inside)| **is_inside == Some(true));
            set.fold(0, |bits, (at, _)| bits | 1 << at)
        };
        is_inside.chunks(64).map(bits).collect()
    }

    /// The numbers of these folders, as parents. The root is the empty uid.
    pub(super) fn parents_of(&self, outer: &[String]) -> Vec<u32> {
        let number =
            |uid: &String| if uid.is_empty() { Some(ROOT) } else { u32::try_from(self.find(uid)?).ok() };
        let mut outer: Vec<_> = outer.iter().filter_map(number).collect();
        outer.sort_unstable();
        outer
    }

    /// Whether a folder is directly inside one of `outer`.
    pub(super) fn is_in_one_of(&self, number: usize, outer: &[u32]) -> bool {
        outer.binary_search(&self.parents[number]).is_ok()
    }

    /// Its memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.uids.len() + (self.ends.len() + self.parents.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tree: &Tree, outer: &[&str]) -> Vec<String> {
        let bits = tree.inside(outer);
        let is_set = |at: &usize| bits[at / 64] >> (at % 64) & 1 == 1;
        (0..tree.len()).filter(is_set).map(|at| tree.uid(at).to_owned()).collect()
    }

    #[test]
    fn what_is_inside_is_found_at_any_depth_and_nothing_beside() {
        let tree = Tree::of(&["d", "b", "a", "c", "z"], &["c", "a", "", "b", ""]);
        assert_eq!(names(&tree, &["b"]), ["b", "c", "d"]);
        assert_eq!(names(&tree, &["z", "d"]), ["d", "z"]);
        assert_eq!(names(&tree, &["gone"]), Vec::<String>::new());
        assert_eq!(names(&tree, &["a", "c"]), ["a", "b", "c", "d"]);
        let directly = |outer: &[&str]| {
            let outer: Vec<_> = outer.iter().map(|uid| (*uid).to_owned()).collect();
            let outer = tree.parents_of(&outer);
            (0..tree.len())
                .filter(|at| tree.is_in_one_of(*at, &outer))
                .map(|at| tree.uid(at))
                .collect::<Vec<_>>()
        };
        assert_eq!(directly(&["", "b", "gone"]), ["a", "c", "z"]);
        assert_eq!(directly(&[]), Vec::<&str>::new());
        assert_eq!(tree.find("c"), Some(2));
        assert_eq!((tree.find(""), tree.find("bb")), (None, None));
    }

    #[test]
    fn many_folders_have_a_bit_each() {
        let uids: Vec<_> = (0..1000).map(|number| format!("f{number:04}")).collect();
        let uids: Vec<_> = uids.iter().map(String::as_str).collect();
        let parents: Vec<_> =
            (0..1000).map(|number| if number < 10 { "" } else { uids[number % 10] }).collect();
        let tree = Tree::of(&uids, &parents);
        let expected: Vec<_> = (0..1000).filter(|number| number % 10 == 3).map(|at| uids[at]).collect();
        assert_eq!(names(&tree, &["f0003"]), expected);
        assert!(tree.bytes() < 16_000);
    }

    #[test]
    fn folders_that_are_inside_each_other_end() {
        let tree = Tree::of(&["a", "b"], &["b", "a"]);
        assert_eq!(names(&tree, &[]), Vec::<String>::new());
        assert_eq!(Tree::of(&[], &[]).inside(&["a"]), Vec::<u64>::new());
    }
}
