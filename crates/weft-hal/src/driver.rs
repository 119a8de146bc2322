//! Drivers: how device names and URIs become devices.
//!
//! What lives here: [`DriverRegistry`]. A driver is a name, a text for people, and a function that makes its one device
//! (`default`, id 0). Which drivers there are is decided by whoever builds the registry; nothing is global.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use crate::device::Device;

/// The id of the one device that each driver enumerates.
pub const DEFAULT_DEVICE_ID: u64 = 0;

/// Makes a driver's device.
pub type DeviceFactory = dyn Fn() -> Result<Arc<Device>> + Send + Sync;

/// A kind of device that can be opened by name.
pub struct Driver {
    /// What URIs start with.
    pub name: String,
    /// One line for people.
    pub full_name: String,
    /// Makes the device.
    pub factory: Box<DeviceFactory>,
}

/// A device that a driver could open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Number within the driver.
    pub id: u64,
    /// Name within the driver.
    pub name: String,
    /// What opens it.
    pub uri: String,
}

/// Drivers by name.
#[derive(Default)]
pub struct DriverRegistry {
    drivers: BTreeMap<String, Driver>,
}

impl DriverRegistry {
    /// No drivers.
    pub fn new() -> DriverRegistry {
        DriverRegistry::default()
    }

    /// Adds a driver. ALREADY_EXISTS if its name is taken.
    pub fn register(&mut self, driver: Driver) -> Result<()> {
        if self.drivers.contains_key(&driver.name) {
            bail!(AlreadyExists, "driver '{}' is registered already", driver.name);
        }
        self.drivers.insert(driver.name.clone(), driver);
        Ok(())
    }

    /// All drivers, by name.
    pub fn drivers(&self) -> impl Iterator<Item = &Driver> {
        self.drivers.values()
    }

    /// The devices of a driver.
    pub fn enumerate(&self, name: &str) -> Result<Vec<DeviceInfo>> {
        let driver = self.driver(name)?;
        let uri = format!("{}://", driver.name);
        Ok(vec![DeviceInfo { id: DEFAULT_DEVICE_ID, name: "default".to_owned(), uri }])
    }

    /// Opens `driver`, `driver://` or `driver://?key=value&…`; unknown parameters are ignored. Paths are NOT_FOUND.
    pub fn open(&self, uri: &str) -> Result<Arc<Device>> {
        let (name, rest) = uri.split_once("://").unwrap_or((uri, ""));
        let driver = self.driver(name)?;
        let path = rest.split_once('?').map_or(rest, |(path, _parameters)| path);
        if !path.is_empty() {
            bail!(NotFound, "device paths not yet implemented (`{path}` in `{uri}`)");
        }
        (driver.factory)().while_doing(|| format!("opening device `{uri}`"))
    }

    /// Opens a driver's device by its id.
    pub fn open_id(&self, name: &str, id: u64) -> Result<Arc<Device>> {
        if id != DEFAULT_DEVICE_ID {
            bail!(NotFound, "driver '{name}' has no device with id {id}");
        }
        self.open(name)
    }

    /// Opens a driver's device by its position in the enumeration.
    pub fn open_ordinal(&self, name: &str, ordinal: usize) -> Result<Arc<Device>> {
        match self.enumerate(name)?.get(ordinal) {
            Some(info) => self.open_id(name, info.id),
            None => bail!(NotFound, "driver '{name}' has no device {ordinal}"),
        }
    }

    fn driver(&self, name: &str) -> Result<&Driver> {
        match self.drivers.get(name) {
            Some(driver) => Ok(driver),
            None => bail!(NotFound, "no driver '{name}' registered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::null::open_null_device;
    use weft_sync::Code;

    fn null_driver() -> Driver {
        let factory = Box::new(|| Ok(open_null_device()));
        Driver { name: "null".to_owned(), full_name: "Nothing at all".to_owned(), factory }
    }

    /// [hal 133]
    #[test]
    fn devices_open_by_name_uri_id_and_ordinal() {
        let mut registry = DriverRegistry::new();
        registry.register(null_driver()).unwrap();
        assert_eq!(registry.register(null_driver()).unwrap_err().code(), Code::AlreadyExists);
        assert_eq!(registry.enumerate("null").unwrap()[0].uri, "null://");
        for uri in ["null", "null://", "null://?x=1&y=2"] {
            assert_eq!(registry.open(uri).unwrap().identifier(), "null");
        }
        assert!(registry.open_id("null", 0).is_ok());
        assert!(registry.open_ordinal("null", 0).is_ok());
        let failures = [
            registry.open("null://0"),
            registry.open("bogus"),
            registry.open_id("null", 7),
            registry.open_ordinal("null", 1),
        ];
        for failure in failures {
            assert_eq!(failure.unwrap_err().code(), Code::NotFound);
        }
        assert_eq!(registry.drivers().count(), 1);
    }
}
