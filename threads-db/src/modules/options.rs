//! How a module is installed.

use threads_core::{CollectionName, Error, Result};

/// Which version of a module is installed, under which names, and what is done about who says otherwise.
///
/// ```
#[doc = include_str!("../../doc/example_module.txt")]
/// use threads_db::InstallOptions;
/// let mine = db.install_with(&Notes, &InstallOptions::new().version(1).prefix("mine-")).unwrap();
/// mine.collection("Note").unwrap().create(&serde_json::json!({"text": "Milk"})).unwrap();
/// assert_eq!(mine.collection("Note").unwrap().name().as_str(), "mine-Note");
/// ```
#[derive(Clone, Debug, Default)]
pub struct InstallOptions {
    pub(super) version: Option<u32>,
    pub(super) prefix: String,
    pub(super) redefine: bool,
}

impl InstallOptions {
    /// The last version, under the names that it gives, unless the thread says otherwise.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// assert!(db.install_with(&Notes, &threads_db::InstallOptions::new()).is_ok());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// This version.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// let options = threads_db::InstallOptions::new().version(2);
    /// assert!(db.install_with(&Notes, &options).is_err(), "there is none");
    /// ```
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Collections whose names in the thread begin so, where somebody has the names that the module gives. Only
    /// applications that do the same share them, and the thread has no record of it:
    /// [`InstalledModule::is_recorded`](crate::InstalledModule::is_recorded) is `false`.
    ///
    /// See the example of [`InstallOptions`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// let options = threads_db::InstallOptions::new().prefix("$mine");
    /// assert!(db.install_with(&Notes, &options).is_err(), "such names are the framework's");
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes the collections what the module says, whoever said otherwise, and records the module beside what
    /// others recorded: see [`Db::module_conflicts`](crate::Db::module_conflicts) for what that is. No
    /// entity is changed.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// use threads_core::module::CollectionSpec;
    /// let note = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// db.define(&note.with_schema(serde_json::json!({"maxProperties": 0}))).unwrap();
    /// assert!(db.install(&Notes).is_err());
    /// let options = threads_db::InstallOptions::new().redefine();
    /// assert!(db.install_with(&Notes, &options).is_ok());
    /// ```
    #[must_use]
    pub fn redefine(mut self) -> Self {
        self.redefine = true;
        self
    }

    /// What a collection is called in the thread.
    pub(super) fn name(&self, name: &CollectionName) -> Result<CollectionName> {
        if self.prefix.is_empty() {
            return Ok(name.clone());
        }
        let named: CollectionName = format!("{}{name}", self.prefix).parse()?;
        if named.is_reserved() {
            return Err(
                Error::invalid("names that begin with $ belong to the framework")
                    .with("collection", named),
            );
        }
        Ok(named)
    }
}
