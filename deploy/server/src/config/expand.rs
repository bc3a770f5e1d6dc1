//! References inside a value: `$__file{/path}`, `$__env{NAME}` and `${NAME}`.

use super::{ConfigError, Sources};

/// Expands all references. Expanded text is not expanded again, so a password with a `$` in a file is safe.
pub(super) fn expand(text: &str, origin: &str, sources: &Sources) -> Result<String, ConfigError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some((reference, tail)) = reference(after) {
            expanded.push_str(&reference.resolve(origin, sources)?);
            rest = tail;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

struct Reference<'a> {
    provider: &'a str,
    argument: &'a str,
}

/// The reference at the start of the text behind a `$`, and the rest. Any other `$` is literal.
fn reference(text: &str) -> Option<(Reference<'_>, &str)> {
    let (provider, rest) = text.split_once('{')?;
    let (argument, tail) = rest.split_once('}')?;
    let is_word = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_provider = provider.is_empty() || (provider.starts_with("__") && is_word(provider));
    (is_provider && !argument.is_empty()).then_some((Reference { provider, argument }, tail))
}

impl Reference<'_> {
    fn resolve(&self, origin: &str, sources: &Sources) -> Result<String, ConfigError> {
        let refused = |expected| ConfigError::Value { origin: origin.into(), expected };
        match self.provider {
            // In Grafana an unset variable is an empty text. Here it is an error, because the empty text would mean the
            // default.
            "" | "__env" => sources
                .variable(self.argument)
                .map(str::to_owned)
                .ok_or_else(|| refused("the environment variable it names to be set")),
            "__file" => match sources.read(self.argument) {
                Ok(content) => Ok(content.trim().to_owned()),
                Err(cause) => Err(ConfigError::ValueFile { origin: origin.into(), cause }),
            },
            _ => Err(refused("no other references than $__file{…}, $__env{…} and ${…}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::expand;

    fn expanded(text: &str) -> Result<String, String> {
        let directory = Directory::new();
        directory.write("secret", "\n p$${NAME}w \n");
        let sources = directory.sources(&[("NAME", "value"), ("EMPTY", "")], &[]);
        expand(text, "here", &sources).map_err(|error| error.to_string())
    }

    #[test]
    fn references_are_replaced() {
        assert_eq!(expanded("a $__env{NAME} b ${NAME}").unwrap(), "a value b value");
        assert_eq!(expanded("<$__file{secret}>${EMPTY}").unwrap(), "<p$${NAME}w>");
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "$", "a$b$$c", "${}", "${NAME", "$name{x}", "$__env", "{NAME}", "$ {NAME}"] {
            assert_eq!(expanded(text).unwrap(), text);
        }
        assert_eq!(expanded("$${NAME}").unwrap(), "$value");
    }

    #[test]
    fn what_cannot_be_resolved_is_refused_without_repeating_it() {
        let unset = "here: expected the environment variable it names to be set";
        assert_eq!(expanded("${hunter2}").unwrap_err(), unset);
        let provider = "here: expected no other references than $__file{…}, $__env{…} and ${…}";
        assert_eq!(expanded("$__vault{hunter2}").unwrap_err(), provider);
        let file = expanded("$__file{hunter2}").unwrap_err();
        assert!(
            file.starts_with("here: cannot read the file it names: ") && !file.contains("hunter2"),
            "{file}"
        );
    }
}
