//! Configuration: what is refused and how, what each key does, and its documentation.

#[cfg(test)]
mod broken;
#[cfg(test)]
mod effects;

#[cfg(test)]
mod tests {
    use control_api::config::Config;
    use control_api::config::table::{KEYS, reference};

    #[test]
    fn every_field_is_a_key_of_the_table_and_the_other_way_round() {
        let written = toml::Table::try_from(Config::default()).unwrap();
        for (name, value) in &written {
            let prefix = format!("{name}.");
            let Some(inner) = value.as_table() else {
                assert!(KEYS.iter().any(|key| key.name == name), "{name}");
                continue;
            };
            for leaf in inner.keys() {
                let name = format!("{prefix}{leaf}");
                assert!(KEYS.iter().any(|key| key.name == name), "{name}");
            }
        }
        // A key the structs do not have would be refused when it is laid.
        for key in KEYS {
            let variable = (key.variable().into(), key.example.into());
            let flags = control_api::config::flags::ServeFlags::default();
            let loaded = control_api::config::load(&flags, [variable]);
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", key.name));
            assert!(loaded.sources.contains_key(key.name), "{}", key.name);
        }
    }

    #[test]
    fn the_documentation_is_made_of_this_table() {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let stands = std::fs::read_to_string(path).unwrap();
        assert!(
            stands.trim_end() == reference(&defaults).trim_end(),
            "docs/configuration.md is stale: plenum check-config --reference > docs/configuration.md"
        );
    }
}
