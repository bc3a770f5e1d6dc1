//! The readable part of an object's address.

/// The slug of a title: lower-case ASCII words joined by dashes, `-` for a title without any.
#[must_use]
pub fn slugify(title: &str) -> String {
    let slug = slug::slugify(title);
    if slug.is_empty() { "-".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_words() {
        assert_eq!(slugify("Production Overview"), "production-overview");
        assert_eq!(slugify("Département  DEF!"), "departement-def");
        assert_eq!(slugify("!!!"), "-");
    }
}
