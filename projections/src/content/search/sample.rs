//! Estimates about the dashboards of an org, from a sample of them.
//!
//! Which parts of words are rare: for each trigram the index on parts of titles has a list of the titles that contain
//! it. A lookup of a word reads the lists of all of its trigrams, and those of "host" are as long as the org is large
//! if each title names a host. So the index is queried for the rarest part of the word, and the word itself is checked
//! on the few titles found.
//!
//! And which tags are common, so that scanning titles is faster than reading all dashboards with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kymograph_app::Result;
use kymograph_domain::OrgId;
use moka::sync::Cache;

use crate::kernel::database::Database;

/// The approximate minimum number of dashboards of an org whose lists are long enough to need this.
const MIN_DASHBOARDS: i64 = 5_000;
/// The number of sampled dashboards.
const SAMPLE: i64 = 1_000;
/// The minimum number of sampled dashboards with a trigram or tag that is not rare.
const MIN_COMMON: u32 = 10;
/// The minimum number of sampled dashboards with a tag for which scanning titles is faster than reading all of them.
const MIN_EVERYWHERE: u32 = 50;
/// The same for a word; titles without it are mostly not even read.
const MIN_WIDESPREAD: u32 = 20;
/// The maximum factor by which trigrams may be more common than their rarest neighbour to belong to the same part.
const FACTOR: u32 = 4;
/// The time to live of a sample: frequencies change slowly, and errors only cost time.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// The maximum number of orgs with a cached sample, of some kilobytes each.
const MAX_ORGS: u64 = 500;

/// A nearly random sample of dashboards. Tags that take much space are ignored, as they are not common.
const SQL: &str = "WITH last AS (SELECT max(id) AS id FROM dashboards WHERE org_id = $1)
    SELECT lower_title, CASE WHEN pg_column_size(tags) < 2000 THEN tags ELSE '{}' END AS tags FROM dashboards WHERE org_id = $1 AND deleted IS NULL AND id = ANY (ARRAY(
        SELECT 1 + floor(random() * last.id)::bigint FROM last, generate_series(1, $2::bigint) WHERE last.id >= $3))";

/// A trigram. Any character other than a letter or digit is a space, and so are those around a word.
type Trigram = [char; 3];

/// The number of dashboards of a sample with each common trigram and tag.
#[derive(Debug, Default)]
pub(super) struct Sample {
    letters: HashMap<Trigram, u32>,
    tags: HashMap<String, u32>,
}

/// Samples of orgs.
pub(super) struct Samples {
    database: Database,
    orgs: Cache<OrgId, Arc<Sample>>,
}

impl Samples {
    pub(super) fn new(database: Database) -> Self {
        Self { database, orgs: Cache::builder().max_capacity(MAX_ORGS).time_to_live(KEPT_FOR).build() }
    }

    pub(super) async fn of(&self, org: OrgId) -> Result<Arc<Sample>> {
        if let Some(known) = self.orgs.get(&org) {
            return Ok(known);
        }
        let rows = self.database.read(org, SQL, &[&org.0, &SAMPLE, &MIN_DASHBOARDS]).await?;
        let found = Arc::new(Sample::of(rows.iter().map(|row| (row.get(0), row.get(1)))));
        self.orgs.insert(org, found.clone());
        Ok(found)
    }
}

impl Sample {
    fn of<'a>(dashboards: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let mut sample = Self::default();
        for (title, mut tags) in dashboards {
            let mut trigrams: Vec<_> = trigrams(title).collect();
            trigrams.sort_unstable();
            trigrams.dedup();
            trigrams.into_iter().for_each(|trigram| *sample.letters.entry(trigram).or_default() += 1);
            tags.sort_unstable();
            tags.dedup();
            tags.into_iter().for_each(|tag| *sample.tags.entry(tag.to_owned()).or_default() += 1);
        }
        sample.letters.retain(|_, count| *count >= MIN_COMMON);
        sample.tags.retain(|_, count| *count >= MIN_COMMON);
        sample
    }

    /// Whether a tag is common.
    pub(super) fn is_common_tag(&self, tag: &str) -> bool {
        self.tags.get(tag).is_some_and(|count| *count >= MIN_EVERYWHERE)
    }

    /// Whether all parts of a word occur in many titles, so that the word itself probably does.
    pub(super) fn is_common(&self, word: &str) -> bool {
        !self.letters.is_empty() && self.least(word).is_none_or(|least| least >= MIN_WIDESPREAD)
    }

    /// The number of titles with the rarest trigram of a word; `None` if it has no trigram.
    pub(super) fn least(&self, word: &str) -> Option<u32> {
        let letters: Vec<_> = word.chars().collect();
        letters.windows(3).filter_map(|letters| self.count(letters)).min()
    }

    /// The part of a word that occurs in the fewest titles.
    pub(super) fn rare_part(&self, word: &str) -> String {
        if self.letters.is_empty() {
            return word.to_owned();
        }
        let letters: Vec<_> = word.chars().collect();
        let counts: Vec<_> = letters.windows(3).map(|letters| self.count(letters)).collect();
        let rarest = counts.iter().enumerate().filter_map(|(at, count)| Some((at, (*count)?)));
        let Some((at, least)) = rarest.min_by_key(|(_, count)| *count) else { return word.to_owned() };
        let belongs = |count: &Option<u32>| count.is_some_and(|count| count <= least.max(1) * FACTOR);
        let before = counts[..at].iter().rev().take_while(|count| belongs(count)).count();
        let after = counts[at..].iter().take_while(|count| belongs(count)).count();
        letters[at - before..at + after + 2].iter().collect()
    }

    /// The number of sampled titles with the trigram; `None` if the index does not contain it.
    fn count(&self, letters: &[char]) -> Option<u32> {
        let trigram: Trigram = <[char; 3]>::try_from(letters).ok()?.map(folded);
        // No trigram spans the end of one word and the beginning of the next.
        (trigram[1] != ' ').then(|| self.letters.get(&trigram).copied().unwrap_or_default())
    }
}

fn folded(letter: char) -> char {
    if letter.is_alphanumeric() { letter.to_lowercase().next().unwrap_or(letter) } else { ' ' }
}

/// The trigrams of a title in the index: those of its words, each with two spaces before and one after it.
fn trigrams(title: &str) -> impl Iterator<Item = Trigram> + '_ {
    let words = title.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(|word| {
        let padded: Vec<_> = [' '; 2].into_iter().chain(word.chars().map(folded)).chain([' ']).collect();
        let trigrams: Vec<_> =
            padded.windows(3).map(|letters| [letters[0], letters[1], letters[2]]).collect();
        trigrams
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Sample {
        let titles: Vec<_> = (0..1000).map(|host| format!("cpu of host-{host}")).collect();
        let tags = |host: usize| if host < 50 { vec!["some", "all", "all"] } else { vec!["all", "no"] };
        let tags = |host: usize| if host == 990 { vec!["few"] } else { tags(host) };
        Sample::of(titles.iter().enumerate().map(|(host, title)| (title.as_str(), tags(host))))
    }

    #[test]
    fn tags_are_common_if_many_have_them() {
        assert!(hosts().is_common_tag("all") && hosts().is_common_tag("some"));
        assert!(!hosts().is_common_tag("few") && !hosts().is_common_tag("none"));
    }

    #[test]
    fn a_part_is_where_the_word_is_rarest() {
        assert_eq!(hosts().rare_part("host-77"), "-77");
        assert_eq!(hosts().rare_part("HOST-77"), "-77");
        assert_eq!(hosts().rare_part("hostess"), "stess");
        assert_eq!(hosts().rare_part("ghost"), "gho");
    }

    #[test]
    fn a_word_that_is_common_all_over_or_too_short_is_its_own_part() {
        assert_eq!(hosts().rare_part("host"), "host");
        assert_eq!(hosts().rare_part("of"), "of");
        assert_eq!(hosts().rare_part("a-b"), "a-b");
        assert_eq!(hosts().rare_part(""), "");
    }

    #[test]
    fn a_word_is_common_if_all_of_its_parts_are() {
        assert!(hosts().is_common("host") && hosts().is_common("CPU") && hosts().is_common("of"));
        assert!(!hosts().is_common("host-77") && !hosts().is_common("hostess"));
        assert!(!Sample::default().is_common("host"));
    }

    #[test]
    fn where_nothing_is_known_every_word_is_its_own_part() {
        let nothing = Sample::default();
        for word in ["host-77", "überlauf", "日本語のダッシュボード", "a_b%c"] {
            assert_eq!(nothing.rare_part(word), word);
        }
    }
}
